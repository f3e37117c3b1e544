"""What commands tell a server, and how little they do without one."""

import base64
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect.server.events.schemas.events import Event

from flows.server import events
from flows.server.events import (
    COUNTS,
    PASSWORD,
    SERVER_PASSWORD,
    api_url,
    emit,
    located,
    rows_committed,
    use_running_server,
)
from tasks.processes.prefect_server import Note, free_port, remove_note, write_note


@pytest.fixture
def server(monkeypatch):
    """A server that takes events as Prefect's does, or answers as it is told; what it was sent."""
    sent, answers = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(answers.pop(0) if answers else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{listening.server_port}/api")
        monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")  # not for this machine
        monkeypatch.setattr(events, "EVENT_RETRY_SECONDS", (0.0, 0.0))
        monkeypatch.delenv(PASSWORD, raising=False)
        yield sent, answers
        listening.shutdown()
        thread.join()


def test_an_event_is_what_prefect_takes(server):
    sent, _ = server
    assert emit("emi.labels.added", "emi.store./data", {"number": 3})
    ((path, headers, (body,)),) = sent
    assert path == "/api/events"
    assert "Authorization" not in headers
    event = Event.model_validate(body)
    assert event.event == "emi.labels.added"
    assert event.resource.id == "emi.store./data"
    assert event.payload == {"number": 3}


@pytest.mark.parametrize("made", ["scores", "transcripts"])
def test_a_run_that_ended_is_told_of(server, tmp_path, made):
    record = {"made": made, "run_id": "run1", "state": "completed", "model": "m"}
    record |= {"model_sha256": "ab", "reasons": [("timeout", 2)], **dict.fromkeys(COUNTS, 3)}
    rows_committed(record, tmp_path)
    (_, _, (body,)), *others = server[0]
    assert (body["event"], others) == (f"emi.{made}.committed", [])
    assert body["resource"]["prefect.resource.id"] == f"emi.store.{tmp_path}"
    assert body["payload"]["num_scored"] == 3
    assert body["payload"]["reasons"] == {"timeout": 2}


def test_what_may_heal_is_sent_again_and_counts_once(server, capsys):
    sent, answers = server
    answers += [503, 500]
    assert emit("emi.labels.added", "emi.store./data", {})
    assert len(sent) == 3
    assert len({body["id"] for _, _, (body,) in sent}) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("answers_", "num_sent"), [([422], 1), ([500, 500, 503], 3)])
def test_what_a_server_does_not_take_is_one_line(server, capsys, answers_, num_sent):
    sent, answers = server
    answers += answers_
    assert not emit("emi.model.promoted", "emi.model.emi", {})
    assert len(sent) == num_sent
    (line,) = capsys.readouterr().err.splitlines()
    assert f"did not take the event emi.model.promoted (HTTP {answers_[-1]}" in line


def test_a_server_that_is_gone_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port('127.0.0.1', 0)}/api")
    monkeypatch.setattr(events, "EVENT_RETRY_SECONDS", (0.0,))
    assert not emit("emi.model.promoted", "emi.model.emi", {})
    (line,) = capsys.readouterr().err.splitlines()
    assert "did not take" in line
    assert "refused" in line


def test_a_proxy_that_cannot_be_used_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("PREFECT_API_URL", "http://192.0.2.1/api")
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")  # needs a package that is not there
    monkeypatch.setattr(events, "EVENT_RETRY_SECONDS", ())
    assert not emit("emi.model.promoted", "emi.model.emi", {})
    (line,) = capsys.readouterr().err.splitlines()
    assert "did not take" in line
    assert "socksio" in line


def test_a_password_goes_along(server, monkeypatch):
    sent, _ = server
    monkeypatch.setenv(PASSWORD, "me:sécret")
    emit("emi.labels.added", "emi.store./data", {})
    scheme, token = sent[0][1]["Authorization"].split()
    assert (scheme, base64.b64decode(token).decode()) == ("Basic", "me:sécret")


def test_labels_that_are_added_are_told_of_once(server, emi, tmp_path):
    sent, _ = server
    corpus, labels = tmp_path / "corpus", tmp_path / "labels.csv"
    corpus.mkdir()
    (corpus / "a.mp4").write_bytes(b"a")
    labels.write_text("filename,joy\na,0.5\n")
    (tmp_path / "link").symlink_to(tmp_path)
    add = ("labels", "add", labels, "--corpus", corpus, "--store", tmp_path / "link" / "store")
    assert [emi(*add)[0], emi(*add)[0]] == [0, 0]  # the second brings nothing new
    ((_, _, (body,)),) = sent
    assert body["resource"] == {"prefect.resource.id": f"emi.store.{tmp_path}/store"}
    assert body["payload"]["number"] == 1
    assert len(body["payload"]["snapshot"]) == 64
    assert body["payload"]["corpus"] == str(corpus)


def test_places_are_spelled_in_one_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert located("store") == located(f"{tmp_path}/./store/") == f"{tmp_path}/store"
    assert located((tmp_path / "store").as_uri()) == f"{tmp_path}/store"
    assert located("s3://bucket/store/") == "s3://bucket/store"


def test_the_server_of_this_machine_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", "to be undone")
    monkeypatch.delenv("PREFECT_API_URL")
    use_running_server()
    assert api_url() is None
    write_note(Note.of_this_process("http://127.0.0.1:4321"))
    use_running_server()
    assert api_url() == "http://127.0.0.1:4321/api"
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    use_running_server()
    assert api_url() == "http://elsewhere/api"
    remove_note()


def test_a_servers_password_is_that_of_its_clients(tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path))
    monkeypatch.setenv(PASSWORD, "to be undone")
    monkeypatch.delenv(PASSWORD)
    monkeypatch.setenv(SERVER_PASSWORD, "me:secret")
    use_running_server()
    assert events._authorization()["Authorization"].startswith("Basic ")


def test_without_a_server_prefect_is_not_even_imported(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "labels.csv").write_text("filename,joy\na,0.5\n")
    code = (
        "import sys, flows.cli.main\n"
        "sys.argv = ['emi', *sys.argv[1:]]\n"
        "flows.cli.main.main()\n"
        "print('prefect' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "labels", "add", "labels.csv"]
    found = subprocess.run(
        [*command, "--corpus", ".", "--store", "store"],
        cwd=tmp_path,
        env={"EMI_HOME": str(tmp_path), "PATH": "", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 clips added" in found.stdout, found.stderr
    assert found.stdout.splitlines()[-1] == "False"
    assert found.returncode == 0, found.stderr
