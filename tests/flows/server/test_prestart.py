"""Whether the server that was started early is the one that Prefect then uses."""

import pytest
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.server import prestart


class Started:
    """A temporary server that answers, or does not, and is no process."""

    port, process = 4321, None

    def __init__(self, *, answers):
        self.answers, self.stopped = answers, False

    def wait(self):
        return self.answers

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


@pytest.mark.parametrize(("answers", "url"), [(False, None), (True, "http://elsewhere/api")])
def test_a_server_that_is_of_no_use_is_stopped(prefects, answers, url):
    server = Started(answers=answers)
    hand_over(server, url)
    assert server.stopped
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
