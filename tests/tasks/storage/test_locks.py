"""Locks, with flock and on a file system that refuses it."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from emi_model.errors import StoreError
from tasks.storage.locks import LockHeld, file_lock, is_locked
from tasks.storage.scratch import Scratch
from tasks.store.store import ResultsStore

PROJECT = Path(__file__).parents[3]

HOLDS = """
import errno, fcntl, sys, time
from pathlib import Path
from tasks.storage.locks import file_lock

def refuse(file, operation):
    raise OSError(int(sys.argv[2]), "refused")

if int(sys.argv[2]):
    fcntl.flock = refuse
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=[0, errno.ENOSYS, errno.ENOLCK], ids=["flock", "ENOSYS", "ENOLCK"])
def refusal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the error of flock on the file system that a test runs on; 0: it works."""

    def refuse(file: object, operation: int) -> None:
        raise OSError(request.param, "refused")

    if request.param:
        monkeypatch.setattr("fcntl.flock", refuse)
    return int(request.param)


@pytest.fixture
def other_process(refusal: int, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a process that holds the lock ``x``."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "x"), str(refusal)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_holds_it_until_its_end(refusal: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert not is_locked(path)
    for _ in range(2):
        with file_lock(path):
            assert is_locked(path)
            with pytest.raises(LockHeld, match="another process holds it"):
                file_lock(path, wait=False).__enter__()
        assert not is_locked(path)
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_who_waits_gets_it_next(refusal: int, tmp_path: Path) -> None:
    inside, most = [0], [0]

    def count() -> None:
        for _ in range(5):
            with file_lock(tmp_path / "x"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1]


def test_what_a_killed_process_held_is_free(
    other_process: subprocess.Popen[str], tmp_path: Path
) -> None:
    path = tmp_path / "x"
    assert is_locked(path)
    with pytest.raises(LockHeld):
        file_lock(path, wait=False).__enter__()
    other_process.kill()
    other_process.wait()
    assert not is_locked(path)
    with file_lock(path, wait=False):
        assert is_locked(path)
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("refusal", [errno.ENOSYS], indirect=True)
class TestWithoutLocks:
    def test_a_process_of_the_same_number_is_another(self, refusal: int, tmp_path: Path) -> None:
        left = {"host": socket.gethostname(), "process": os.getpid(), "began": "1"}
        (tmp_path / "x.held").write_text(json.dumps(left))
        with file_lock(tmp_path / "x", wait=False):
            pass

    @pytest.mark.parametrize(
        ("left", "who"),
        [
            ('{"host": "other", "process": 7, "began": "1"}', "process 7 on other"),
            ("", "unknown process"),
        ],
    )
    def test_another_host_is_named(
        self,
        left: str,
        who: str,
        refusal: int,
        store: ResultsStore,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        held = Path(store.location, ".lock.held")
        held.write_text(left)
        with pytest.raises(StoreError) as caught:
            store.lock().__enter__()
        said = f"another run is writing here ({who}; if it has ended, remove {held})"
        assert said in str(caught.value)
        monkeypatch.setattr("tasks.storage.locks.ELSEWHERE_SECONDS", 0.1)
        with pytest.raises(LockHeld, match=who):  # nor is it waited for without end
            file_lock(held.with_suffix("")).__enter__()
        assert held.read_text() == left

    def test_scratch(self, refusal: int, tmp_path: Path) -> None:
        scratch = Scratch(tmp_path, 100)
        with scratch.room(60) as file, scratch.room(40):
            assert Path(file.name).exists()
        assert {path.name for path in tmp_path.iterdir()} == {"emi.lock"}


def test_another_error_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: object, operation: int) -> None:
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr("fcntl.flock", fail)
    (tmp_path / "x").touch()
    for use in (file_lock(tmp_path / "x").__enter__, lambda: is_locked(tmp_path / "x")):
        with pytest.raises(OSError, match="bad disk"):
            use()
