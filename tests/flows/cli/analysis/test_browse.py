"""`emi browse`, called as a shell would: what it says, and how it ends."""

import json
import os
import signal
import socket
import threading
import urllib.request

import pytest

from flows.cli.analysis import browse as verb
from tasks.browsing import serving, snapshot
from tasks.store.store import create_store


@pytest.fixture
def store(tmp_path, monkeypatch):
    folder = tmp_path / "store"
    create_store(folder)
    monkeypatch.setenv("EMI_RESULTS", str(folder))
    return folder


@pytest.fixture
def visited(monkeypatch):
    """Visit the address once the server answers, then press Ctrl-C; returns what was answered."""
    found = []
    start = serving.serve_page
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def visit(address):
        with urllib.request.urlopen(address, timeout=30) as answer:
            found.append((answer.status, answer.headers["set-cookie"]))
        os.kill(os.getpid(), signal.SIGINT)

    def serve_page(opened, port, on_start):
        def on(address):
            on_start(address)
            threading.Thread(target=visit, args=(address,), daemon=True).start()

        start(opened, port, on)

    monkeypatch.setattr(serving, "serve_page", serve_page)
    yield found
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_an_address_until_ctrl_c(emi, store, visited, monkeypatch):
    opened = []
    monkeypatch.setattr(verb, "_open_page", opened.append)
    code, out, err = emi("browse", "--port", "0")
    assert (code, err) == (0, "emi: stopped\n")
    about, address, end = out.splitlines()
    assert about.startswith(f"{store}: 0 rows, read in ")
    assert address.startswith("http://127.0.0.1:")
    assert end == "Ctrl-C ends it."
    assert opened == [address]
    ((status, cookie),) = visited
    assert status == 200
    assert address.partition("token=")[2] in cookie


def test_as_json_it_opens_nothing(emi, store, visited, monkeypatch):
    monkeypatch.setattr(verb, "_open_page", lambda _: pytest.fail("opened"))
    code, out, _ = emi("browse", "--port", "0", "--json")
    found = json.loads(out)
    assert (code, found["rows"], set(found)) == (0, 0, {"address", "rows", "seconds"})


def test_no_browser_is_a_line(monkeypatch, capfd):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    verb._open_page("http://127.0.0.1:1/")
    assert capfd.readouterr().err == f"emi: {verb.NO_BROWSER}\n"
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", lambda address: address == "http://127.0.0.1:1/")
    verb._open_page("http://127.0.0.1:1/")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--results", "elsewhere"], "elsewhere"),
        (["--corpus", "none"], "none: no such folder or file"),
        (["--port", "70000"], "70000 is not in the range"),
    ],
)
def test_what_is_refused(emi, store, options, cause):
    code, out, err = emi("browse", "--no-open", "--port", "0", *options)
    assert (code, out) == (2, "")
    assert cause in err


def test_a_port_that_is_taken(emi, store):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = emi("browse", "--port", port)
    assert (code, out) == (2, "")
    assert f"port {port} of 127.0.0.1" in err
    assert "--port" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_while_it_opens_it_leaves_nothing(emi, store, tmp_path, monkeypatch, number):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    connect = snapshot.connect
    found = []

    def connecting(*given, **named):
        found.extend((tmp_path / "temporary").iterdir())
        os.kill(os.getpid(), number)
        return connect(*given, **named)

    monkeypatch.setattr(snapshot, "connect", connecting)
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert emi("browse", "--port", "0", "--no-open") == (0, "", "emi: stopped\n")
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert [path.name.startswith("emi-browse-") for path in found] == [True]
    assert list((tmp_path / "temporary").iterdir()) == []
