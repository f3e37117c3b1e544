"""Whether the server that was started early is the one that Prefect then uses."""

import signal
import socket
import subprocess
import sys
import threading

import pytest
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, temporary_settings

from emi_model.errors import ServerError
from flows.server import prestart
from tasks.processes import ending


class Ended:
    """A process that has ended, as it was to."""

    def wait(self):
        return 0


class Started:
    """A temporary server that answers, or does not, and is no process."""

    port, process, stopping = 4321, Ended(), True
    may_take_another_database = True

    def __init__(self, *, answers):
        self.answers, self.stopped = answers, False

    def wait(self):
        return self.answers

    def cause(self):
        return "disk I/O error"

    def stop(self):
        self.stopped = True


@pytest.fixture
def prefects(monkeypatch):
    """Prefect's own temporary server of this process; afterwards it is as it was."""
    server = SubprocessASGIServer()
    for name in ("port", "server_process", "running"):
        monkeypatch.setattr(server, name, getattr(server, name))
    server.port, server.running = None, False
    return server


def hand_over(server, url=None):
    with temporary_settings({PREFECT_API_URL: url}):
        prestart._hand_over(server)


def test_prefect_uses_a_server_that_answers(prefects):
    server = Started(answers=True)
    hand_over(server)
    assert (prefects.port, prefects.running, server.stopped) == (4321, True, False)


def test_a_server_that_is_of_no_use_is_stopped(prefects):
    server = Started(answers=True)
    hand_over(server, "http://elsewhere/api")
    assert server.stopped
    assert (prefects.port, prefects.running) == (None, False)


def test_where_a_server_ends_one_with_a_new_database_takes_its_place(prefects, monkeypatch):
    first, second, options = Started(answers=False), Started(answers=True), []
    monkeypatch.setattr(
        prestart, "TemporaryServer", lambda **given: options.append(given) or second
    )
    hand_over(first)
    assert (first.stopped, second.stopped, options) == (True, False, [{"new_database": True}])
    assert (prefects.port, prefects.running) == (4321, True)


def test_where_none_starts_the_flow_does_not_begin(prefects, monkeypatch):
    servers = [Started(answers=False), Started(answers=False)]
    monkeypatch.setattr(prestart, "TemporaryServer", lambda **_: servers[-1])
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with temporary_settings({PREFECT_API_URL: None}):
        starting = prestart._HandOver(servers[0])
        starting.start()
        with pytest.raises(ServerError, match=r"does not start: disk I/O error"):
            starting.join()
    assert [server.stopped for server in servers] == [True, True]
    assert (prefects.port, prefects.running) == (None, False)


def test_a_server_is_started_only_where_none_is_named(monkeypatch):
    taken = []
    monkeypatch.setattr(prestart, "TemporaryServer", lambda: "a server")
    monkeypatch.setattr(prestart, "_hand_over", taken.append)
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    assert prestart.temporary_server() is None
    assert taken == []
    monkeypatch.delenv("PREFECT_API_URL")
    prestart.temporary_server().join()
    assert taken == ["a server"]


@pytest.fixture
def deaths(monkeypatch):
    """What the process would be ended with."""
    found = []
    monkeypatch.setattr(ending, "end_with", lambda error: found.append(str(error)))
    return found


@pytest.mark.parametrize("stopping", [False, True])
def test_a_temporary_server_that_dies_ends_the_command(deaths, stopping):
    server = Started(answers=True)
    server.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    server.stopping = stopping
    server.process.send_signal(signal.SIGKILL)
    prestart._watch_temporary(server)
    server.process.stdin.close()
    assert len(deaths) == (not stopping)
    assert all("temporary server" in said and "killed by signal 9" in said for said in deaths)


def test_a_named_server_of_this_machine_that_is_gone_ends_the_command(deaths):
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = server.getsockname()
        watching = threading.Thread(target=prestart._watch_named, args=("URL", where, 1.5))
        watching.start()
        server.accept()[0].close()
        assert deaths == []
    watching.join(30)
    assert deaths == ["URL: Prefect's server there has died: " + ending.GOES_ON]


@pytest.mark.parametrize(
    ("url", "watched"),
    [(None, False), ("https://lab/api", False), ("http://127.0.0.1:4200/api", True)],
)
def test_only_servers_of_this_machine_are_watched(monkeypatch, url, watched):
    begun = threading.Event()
    monkeypatch.setattr(prestart, "_watch_named", lambda *_: begun.set())
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    if url is not None:
        monkeypatch.setenv("PREFECT_API_URL", url)
    prestart.watch_server()
    assert begun.wait(10 if watched else 0.05) == watched
