from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from emi_model.errors import ConfigError, CorpusError
from tasks.storage.scratch import DEFAULT_BYTES, Scratch, open_scratch

PROJECT = Path(__file__).parents[3]

HOLDS_ROOM = """
import sys, time
from pathlib import Path
from tasks.storage.scratch import Scratch

with Scratch(Path(sys.argv[1]), 100).room(60, ".mp4") as file:
    file.write(b"half")
    file.flush()
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "scratch", 100)


@pytest.fixture
def other_process(scratch: Scratch) -> Iterator[subprocess.Popen[str]]:
    """Return a process that holds 60 bytes."""
    command = [sys.executable, "-c", HOLDS_ROOM, str(scratch.root)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def clips(scratch: Scratch) -> list[Path]:
    return [path for path in scratch.root.iterdir() if path.name != "emi.lock"]


def test_room_is_a_new_file_of_that_size_and_goes_with_its_use(scratch: Scratch) -> None:
    with scratch.room(70, ".mp4") as file:
        (path,) = clips(scratch)
        assert (path.suffix, path.stat().st_size) == (".mp4", 70)
        file.write(b"x" * 70)
        file.flush()
        assert path.read_bytes() == b"x" * 70
        with scratch.room(30), scratch.room(0):
            assert len(clips(scratch)) == 3
    assert clips(scratch) == []


def test_it_goes_when_its_use_fails(scratch: Scratch) -> None:
    with pytest.raises(KeyError), scratch.room(100):
        raise KeyError
    assert clips(scratch) == []


def test_who_finds_no_room_waits_and_is_served_in_turn(scratch: Scratch) -> None:
    served: list[int] = []

    def take(size: int) -> None:
        with scratch.room(size):
            served.append(size)

    with ExitStack() as held:
        held.enter_context(scratch.room(50))
        threads = []
        for size in (90, 20):  # the second would fit, but it does not push in
            threads.append(threading.Thread(target=take, args=(size,)))
            threads[-1].start()
            time.sleep(0.15)
        assert served == []
    for thread in threads:
        thread.join(10)
    assert served == [90, 20]  # not both at once: they are more than there is


def test_other_processes_count_while_they_live(
    scratch: Scratch, other_process: subprocess.Popen[str]
) -> None:
    with scratch.room(40):
        assert len(clips(scratch)) == 2
    (left,) = clips(scratch)
    other_process.kill()
    other_process.wait()
    assert left.exists()
    with scratch.room(100) as file:
        assert clips(scratch) == [Path(file.name)]


def test_files_of_others_are_let_be(scratch: Scratch) -> None:
    scratch.root.mkdir()
    (scratch.root / "my.clip.mp4").write_bytes(b"x" * 200)
    with scratch.room(100):
        pass
    assert (scratch.root / "my.clip.mp4").exists()


def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(CorpusError, match=r"file: no clip can be fetched .* set EMI_SCRATCH"),
        Scratch(tmp_path / "file", 100).room(1),
    ):
        pass


class TestSettings:
    def test_default(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("EMI_SCRATCH", "EMI_SCRATCH_BYTES"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        scratch = open_scratch()
        assert scratch == Scratch(tmp_path / f"emi-{os.getuid()}", DEFAULT_BYTES, private=True)
        with scratch.room(1):
            assert scratch.root.stat().st_mode & 0o777 == 0o700

    def test_a_folder_that_another_user_made_in_its_place(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        scratch = Scratch(tmp_path, 100, private=True)
        monkeypatch.setattr("os.getuid", lambda: os.geteuid() + 1)
        with pytest.raises(CorpusError, match="it belongs to another user"), scratch.room(1):
            pass

    def test_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("EMI_SCRATCH", "here")
        monkeypatch.setenv("EMI_SCRATCH_BYTES", "12")
        assert open_scratch() == Scratch(tmp_path / "here", 12)
        monkeypatch.setenv("EMI_SCRATCH_BYTES", "4 GiB")
        with pytest.raises(ConfigError, match="EMI_SCRATCH_BYTES is '4 GiB', expected a number"):
            open_scratch()
