from __future__ import annotations

import time

import pytest

from tasks.processes.server_database import DATABASE_VARIABLES
from tasks.processes.temporary_server import TemporaryServer


def test_a_server_that_does_not_start_says_why(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLES[0], "sqlite+aiosqlite:////dev/null/prefect.db")
    began = time.monotonic()
    server = TemporaryServer()
    assert not server.may_take_another_database
    assert not server.wait()
    assert "unable to open database file" in server.cause()
    assert time.monotonic() - began < 60  # 4 s on an idle machine
    server.stop()
    server.stop()  # as the interpreter does at its end
    assert capfd.readouterr().err.count("Traceback") > 0  # the log has it all
