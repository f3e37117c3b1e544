"""Scratch: room on this node's disk for clips of object storage while they are extracted.

    EMI_SCRATCH/emi.lock    locked by the process that takes room or waits for it: first come, first
                            served
    EMI_SCRATCH/emi-*.clip  a clip's room, locked by its process

One bound, `EMI_SCRATCH_BYTES`, holds for all processes of a node. A file has the size of its clip
from the beginning, so the sizes in the folder show how much is taken. The kernel releases the locks
of a process that died: the next process that takes room removes its files.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from emi_model.errors import ConfigError, CorpusError
from tasks.storage.locks import HELD_SUFFIX, file_lock, is_locked

FOLDER_VARIABLE = "EMI_SCRATCH"
BYTES_VARIABLE = "EMI_SCRATCH_BYTES"
DEFAULT_BYTES = 4 * 2**30

_LOCK_FILE = "emi.lock"
_CLIPS = "emi-????????????????.clip*"
_WAIT_SECONDS = 0.05


@dataclass(frozen=True)
class Scratch:
    """A folder with a bound, shared by all processes that name it.

    Attributes:
        root: the folder, on a local disk; made when room is taken.
        max_bytes: of all clips in it together.
        private: it must belong to this user: another may have made it where all can write.
    """

    root: Path
    max_bytes: int
    private: bool = False

    @contextmanager
    def room(self, size: int, suffix: str = "") -> Iterator[BinaryIO]:
        """Yield a new file to write a clip to; waits until there is room, removes it at the end.

        Args:
            size: bytes of the clip, at most ``max_bytes``.
            suffix: of the file's name, with its dot.

        Raises:
            CorpusError: the folder is not ours, or does not take a file.
        """
        with self.errors():
            self._make()
            with file_lock(self.root / _LOCK_FILE), ExitStack() as taken:
                while self._taken() + size > self.max_bytes:
                    time.sleep(_WAIT_SECONDS)
                file = self._take(size, suffix, taken)
                held = taken.pop_all()
        with held:
            yield file

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of the folder or its disk into a CorpusError of one line."""
        try:
            yield
        except OSError as error:
            raise CorpusError(
                f"{self.root}: no clip can be fetched to this folder ({error.strerror or error}): "
                f"make room, or set {FOLDER_VARIABLE} to another"
            ) from error

    def _make(self) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.private and self.root.lstat().st_uid != os.getuid():
            raise PermissionError("it belongs to another user")

    def _taken(self) -> int:
        """Return how many bytes living processes take; remove the files of dead ones."""
        clips = (path for path in self.root.glob(_CLIPS) if path.suffix != HELD_SUFFIX)
        return sum(_locked_bytes(path) for path in clips)

    def _take(self, size: int, suffix: str, taken: ExitStack) -> BinaryIO:
        """Return a new file, which ``taken`` unlocks, removes and closes."""
        path = self.root / f"emi-{secrets.token_hex(8)}.clip{suffix}"
        file = path.open("xb")
        taken.callback(_close, file)
        taken.enter_context(file_lock(path))
        taken.callback(path.unlink, missing_ok=True)
        file.truncate(size)
        return file


def open_scratch() -> Scratch:
    """Return this node's scratch, as the environment sets it.

    Raises:
        ConfigError: `EMI_SCRATCH_BYTES` is no number of bytes.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    size = os.environ.get(BYTES_VARIABLE) or str(DEFAULT_BYTES)
    if not size.isdecimal():
        raise ConfigError(f"{BYTES_VARIABLE} is {size!r}, expected a number of bytes")
    if folder:
        return Scratch(Path(folder).expanduser().absolute(), int(size))
    return Scratch(Path(tempfile.gettempdir(), f"emi-{os.getuid()}"), int(size), private=True)


def _close(file: BinaryIO) -> None:
    with suppress(OSError):  # closing flushes, which fails again where writing failed
        file.close()


def _locked_bytes(path: Path) -> int:
    with suppress(FileNotFoundError):  # its process has just removed it
        if is_locked(path):
            return path.stat().st_size
        path.unlink()
    return 0
