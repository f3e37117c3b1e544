"""Whether the server that was started early is the one that Prefect then uses."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from emi_model.errors import ServerError
from flows.server import prestart
from flows.server.events import api_url
from tasks.processes import ending


class Ended:
    """A process that has ended, as it was to."""

    def wait(self):
        return 0


class Started:
    """A temporary server that answers, or does not, and is no process."""

    port, process, stopping = 4321, Ended(), True
    api_url = "http://127.0.0.1:4321/api"
    may_take_another_database = True

    def __init__(self, *, answers):
        self.answers, self.stopped = answers, False

    def wait(self):
        return self.answers

    def cause(self):
        return "disk I/O error"

    def stop(self):
        self.stopped = True


def hand_over(server, url=Started.api_url):
    with temporary_settings({PREFECT_API_URL: url}):
        prestart._hand_over(server)


def test_a_server_that_answers_is_kept():
    server = Started(answers=True)
    hand_over(server)
    assert not server.stopped


@pytest.mark.parametrize("url", [None, "http://elsewhere/api"])
def test_a_server_that_is_of_no_use_is_stopped(monkeypatch, url):
    monkeypatch.setenv("PREFECT_API_URL", Started.api_url)
    server = Started(answers=True)
    hand_over(server, url)
    assert server.stopped
    assert "PREFECT_API_URL" not in os.environ


def test_where_a_server_ends_one_with_a_new_database_takes_its_place(monkeypatch):
    first, second, options = Started(answers=False), Started(answers=True), []
    monkeypatch.setattr(
        prestart, "TemporaryServer", lambda **given: options.append(given) or second
    )
    hand_over(first)
    assert (first.stopped, second.stopped) == (True, False)
    assert options == [{"port": 4321, "new_database": True}]  # Prefect has the URL already


def test_where_none_starts_the_flow_does_not_begin(monkeypatch):
    servers = [Started(answers=False), Started(answers=False)]
    monkeypatch.setattr(prestart, "TemporaryServer", lambda **_: servers[-1])
    with pytest.raises(ServerError, match=r"does not start: disk I/O error") as raised:
        hand_over(servers[0])
    assert [server.stopped for server in servers] == [True, True]

    def fail(_):
        raise raised.value

    monkeypatch.setattr(prestart, "_hand_over", fail)
    starting = prestart._HandOver(servers[0])
    starting.start()
    with pytest.raises(ServerError, match=r"does not start"):
        starting.join()


def test_a_server_is_started_only_where_none_is_named(monkeypatch):
    monkeypatch.setattr("flows.server.events._temporary", set())
    taken, started = [], Started(answers=True)
    monkeypatch.setattr(prestart, "TemporaryServer", lambda: started)
    monkeypatch.setattr(prestart, "_hand_over", taken.append)
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    assert prestart.temporary_server() is None
    monkeypatch.delenv("PREFECT_API_URL")
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_ENABLED", "False")
    assert prestart.temporary_server() is None
    assert taken == []
    monkeypatch.delenv("PREFECT_SERVER_EPHEMERAL_ENABLED")
    prestart.temporary_server().join()
    assert taken == [started]
    assert os.environ["PREFECT_API_URL"] == Started.api_url
    assert api_url() is None, "it gets no events, and nobody looks at it"


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
