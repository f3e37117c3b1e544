from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from emi_model.errors import ServerError
from tasks.processes.prefect_server import (
    NOTE,
    Note,
    PrefectServer,
    free_port,
    is_loopback,
    remove_note,
    running_server,
    server_url,
    write_note,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMI_HOME", str(tmp_path))
    return tmp_path


def test_a_note_leads_to_the_server_while_its_process_lives(home: Path) -> None:
    assert running_server() is None
    note = Note.of_this_process("http://127.0.0.1:4200")
    write_note(note)
    assert running_server() == note
    assert note.pid == os.getpid()
    assert note.api_url == "http://127.0.0.1:4200/api"
    remove_note()
    remove_note()
    assert running_server() is None


def test_a_note_of_another_process_or_machine_leads_nowhere(home: Path) -> None:
    note = Note.of_this_process("http://127.0.0.1:4200")
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    for other in (
        replace(note, pid=gone.pid),
        replace(note, started="1"),  # the pid was given to another process since
        replace(note, machine="elsewhere"),  # homes may be shared
    ):
        write_note(other)
        assert running_server() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1}', json.dumps({"other": 1})])
def test_a_note_that_is_none_is_no_error(home: Path, text: str) -> None:
    (home / NOTE).write_text(text)
    assert running_server() is None


def test_a_zombie_serves_nobody(home: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody took it
    note = Note.of_this_process("http://127.0.0.1:4200")
    assert not replace(note, pid=child.pid, started="").is_alive()
    child.wait()


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"port {port} of 127.0.0.1 .* --port"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", port) == port
    assert free_port("127.0.0.1", 0) > 0


def test_who_is_reached_and_how() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1", "example.org")))
    assert server_url("127.0.0.1", 4200) == "http://127.0.0.1:4200"
    assert server_url("0.0.0.0", 4200) == "http://127.0.0.1:4200"
    assert server_url("::1", 4200) == "http://[::1]:4200"


def test_a_server_that_does_not_start_says_where_to_look(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.processes.prefect_server.sys.executable", "/bin/false")
    log = home / "server.log"
    with (
        PrefectServer("127.0.0.1", free_port("127.0.0.1", 0), log) as server,
        pytest.raises(ServerError, match=f"ended with exit code 1: see {log}"),
    ):
        server.wait(lambda _: None)


def test_the_ui_asks_the_server_that_its_page_is_from(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page may be seen on another machine, or through a tunnel with another port."""
    stand_in = home / "python"
    stand_in.write_text("#!/bin/sh\nenv\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr("tasks.processes.prefect_server.sys.executable", str(stand_in))
    with (
        PrefectServer("0.0.0.0", free_port("0.0.0.0", 0), home / "server.log") as server,
        pytest.raises(ServerError, match="ended with exit code 0"),
    ):
        server.wait(lambda _: None)
    assert "PREFECT_SERVER_UI_API_URL=/api" in (home / "server.log").read_text().splitlines()
