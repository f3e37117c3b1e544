"""`emi up` and `emi deploy`: what they refuse, each in one line and before anything is started."""

import json
import os
import signal
import socket
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from emi_model.errors import ServerError
from tasks.processes.prefect_server import NOTE, Note, free_port, running_server, write_note
from tasks.storage.locks import file_lock
from tasks.store.store import create_store


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    for name in ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_HOME", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def refused(emi, tmp_path, home):
    """Run a command that is refused; returns its one line."""

    def run(verb, *options):
        site = ("--corpus", tmp_path, "--results", tmp_path / "results")
        code, out, err = emi(verb, *site, *options)
        assert (code, out) == (2, ""), err
        (line,) = err.splitlines()
        assert not (tmp_path / "results").exists()
        return line

    return run


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """Undo what the command sets for itself and its children."""
    for name in (
        "PREFECT_API_URL",
        "PREFECT_LOGGING_EXTRA_LOGGERS",
        "EMI_ONE_AT_A_TIME",
        "PREFECT_HOME",
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_one_is_enough(refused, home):
    write_note(Note.of_this_process("http://127.0.0.1:4200"))
    assert "runs already: http://127.0.0.1:4200" in refused("up")


def test_one_is_enough_for_all_machines_that_share_a_home(
    emi, home, stand_ins, quiet_verbs, tmp_path
):
    home.mkdir()
    noted = replace(Note.of_this_process("http://127.0.0.1:4200"), machine="elsewhere")
    write_note(noted)
    site = ("--corpus", tmp_path, "--results", tmp_path / "results", "--timezone", "UTC")
    with file_lock(home / ".up"):
        code, out, err = emi("up", *site, "--port", 0)
    assert (code, out, stand_ins) == (2, "", [])
    assert f"another `emi up` uses {home}, on this machine or on one that shares" in err
    assert json.loads((home / NOTE).read_text()) == asdict(noted)


def test_a_port_that_is_taken(refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1" in refused("up", "--port", port)


def test_another_server_is_meant(refused, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://lab:4200/api")
    assert "`emi deploy` registers there" in refused("up")


def test_a_server_for_everyone_wants_a_password(refused):
    said = refused("up", "--host", "0.0.0.0")
    assert "PREFECT_SERVER_API_AUTH_STRING=USER:PASSWORD" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cron", "at night"), "'at night' in 'UTC', expected five fields"),
        (("--timezone", "Mars"), "in 'Mars', expected five fields"),
        (("--watch-cron", "* * *"), "'* * *'"),
        (("--recipe", "cake"), "cake"),
    ],
)
@pytest.mark.parametrize("verb", ["up", "deploy"])
def test_what_cannot_be_run_is_said_first(refused, verb, options, said):
    zone = () if "--timezone" in options else ("--timezone", "UTC")
    where = ("--port", 0) if verb == "up" else ("--api-url", "http://127.0.0.1:9/api")
    assert said in refused(verb, *where, *zone, *options)


@pytest.mark.parametrize("option", ["--corpus", "--label-inbox"])
def test_a_folder_that_is_not_there_is_said_before_anything_starts(refused, tmp_path, option):
    line = refused("up", "--port", 0, "--timezone", "UTC", option, tmp_path / "nosuch")
    assert f"{tmp_path / 'nosuch'}: no such folder or file" in line


def test_a_server_has_to_be_named(refused):
    assert "--api-url" in refused("deploy")


def test_a_server_that_is_not_there(refused):
    url = f"http://127.0.0.1:{free_port('127.0.0.1', 0)}/api"
    assert f"{url}: Prefect's server is not reached" in refused("deploy", "--api-url", url)


def test_a_named_server_that_is_not_there_is_one_line(emi, monkeypatch):
    """Prefect says it with a RuntimeError."""
    from flows.cli import main

    @main.cli.command("talk")
    def talk():
        raise RuntimeError("Failed to reach API at http://127.0.0.1:9/api/")

    code, _, err = emi("talk")
    main.cli.commands.pop("talk")
    assert code == 2
    assert err.endswith("start Prefect's server, or unset PREFECT_API_URL\n")


class Server:
    """A server that answers after a while, and is no process."""

    def __init__(self, happened, host, port):
        self.happened, self.url = happened, f"http://{host}:{port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.happened.append("server stopped")

    def wait(self, on_wait):
        on_wait(1.0)
        on_wait(6.0)
        self.happened.append("server answers")

    def check(self):
        self.happened.append("server checked")


class Service:
    """A service that is interrupted when it is waited for the third time."""

    def __init__(self, happened):
        self.happened, self.waits = happened, 0

    def start(self):
        self.happened.append(f"service started, server noted: {running_server() is not None}")

    def wait(self, seconds):
        self.waits += 1
        if self.waits == 3:
            raise KeyboardInterrupt
        return True

    def stop(self):
        self.happened.append("service stopped")


@pytest.fixture
def stand_ins(monkeypatch, tmp_path):
    """A server and a service that start nothing; returns what happens to them, in order."""
    happened = []
    monkeypatch.chdir(tmp_path)

    def serve(setup):
        happened.append(f"server noted: {running_server() is not None}, in {Path.cwd()}")
        return Service(happened)

    monkeypatch.setattr(
        "tasks.processes.prefect_server.PrefectServer",
        lambda host, port, log: Server(happened, host, port),
    )
    monkeypatch.setattr("flows.server.serving.Service", serve)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield happened
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_site_is_served_until_ctrl_c(emi, stand_ins, quiet_verbs, tmp_path):
    results = tmp_path / "results"
    site = ("--corpus", tmp_path, "--results", results, "--model", "/m", "--cron", "never")
    code, out, err = emi("up", *site, "--port", 0, "--timezone", "UTC", "--watch")
    assert code == 0, err
    checked = ["server checked"] * 2
    noted = [f"server noted: {found}" for found in (False, True)]
    started = [f"{noted[0]}, in /", "server answers", f"service started, {noted[1]}"]
    assert stand_ins == [*started, *checked, "service stopped", "server stopped"]
    lines = out.splitlines()
    assert "scans score with /m, as --model says, whatever is promoted later" in out
    assert lines[0] == "process-corpus/nightly        by hand"
    assert any(line.startswith("watch/corpus ") for line in lines)
    assert lines[-1].startswith("Prefect's UI: http://127.0.0.1:")
    assert "waiting for Prefect's server: 6 s" in err
    assert "waiting for Prefect's server: 1 s" not in err
    assert err.endswith("emi: stopped\n")
    assert create_store(results).location == str(results)
    assert running_server() is None
    assert os.environ["EMI_ONE_AT_A_TIME"] == "1"


@pytest.mark.parametrize(
    ("where", "error", "code", "last"),
    [
        ("flows.cli.verbs.up._show", KeyboardInterrupt(), 0, "emi: stopped"),
        ("flows.cli.verbs.up._show", ServerError("it has died"), 2, "emi: it has died"),
        (f"{__name__}.Server.check", ServerError("it has died"), 2, "emi: it has died"),
    ],
)
def test_no_run_outlives_the_command(
    emi, stand_ins, quiet_verbs, monkeypatch, tmp_path, where, error, code, last
):
    def fail(*_):
        raise error

    monkeypatch.setattr(where, fail)
    site = ("--corpus", tmp_path, "--results", tmp_path / "results", "--model", "/m")
    ended, _, err = emi("up", *site, "--port", 0, "--timezone", "UTC")
    assert (ended, err.splitlines()[-1]) == (code, last)
    assert stand_ins[-2:] == ["service stopped", "server stopped"]


def test_deploy_names_what_it_registered(emi, home, monkeypatch, tmp_path):
    registered = []

    def register(setup, pool):
        registered.append((setup, pool, os.environ["PREFECT_API_URL"]))
        return ["train/on-demand", "watch/corpus"]

    monkeypatch.setattr("flows.server.registration.register_deployments", register)
    site = ("--corpus", tmp_path / "clips", "--results", "s3://bucket/results/")
    where = ("--api-url", "http://lab:4200/api", "--pool", "gpus", "--label-inbox", "s3://in/box")
    (tmp_path / "my.py").write_text("from emi_model.training.recipes import debug as mine\n")
    monkeypatch.chdir(tmp_path)
    code, out, err = emi("deploy", *site, *where, "--recipe", "my.py:mine", "--timezone", "UTC")
    assert (code, err) == (0, "")
    assert out.splitlines()[:2] == ["registered train/on-demand", "registered watch/corpus"]
    assert out.endswith("prefect worker start --pool gpus\n")
    ((setup, pool, url),) = registered
    assert (pool, url) == ("gpus", "http://lab:4200/api")
    assert (setup.corpus, setup.results) == (str(tmp_path / "clips"), "s3://bucket/results")
    assert (setup.labels, setup.label_inbox) == ("s3://bucket/results", "s3://in/box")
    assert (setup.recipe, setup.cron) == (f"{tmp_path}/my.py:mine", "15 2 * * *")
