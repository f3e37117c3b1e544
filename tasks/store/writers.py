"""Writing a results store: by one run at a time on a disk, by several runs at once in a bucket.

On a disk a run holds a lock, so the next run removes at once what a killed run left. In a bucket
there is no lock: each run that writes there renews a sign of life every minute. Files count as left
behind when they are older, by the storage's own clock, than a live run would leave them.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Protocol

from emi_model.errors import StoreError
from tasks.home import home
from tasks.schema.tables import RUNS, TABLES
from tasks.storage.folder import Folder, is_of_system
from tasks.storage.local import LocalFolder, place
from tasks.storage.locks import LockHeld, file_lock
from tasks.storage.parquet_files import Content, write_parquet
from tasks.store.paths import MARKER_FILE, Part, parts_of

ALIVE = "alive"
"""Folder with a small object for each live run in a bucket, rewritten every `PULSE_SECONDS`."""

PULSE_SECONDS = 60.0
SILENT_SECONDS = 600.0
"""A run whose sign of life is older was killed."""

ORPHAN_SECONDS = 3600.0
"""Companions whose scores do not follow within this time were left by a killed run."""

CLOCK = "clock"
"""An object that is written to read the storage's clock."""

_SCRATCH = "scratch-"

STOPPING_SECONDS = 5.0
WRITES_AT_ONCE = 16


class Writer(Protocol):
    """What differs between a disk and a bucket.

    Attributes:
        folder: of the store.
        logs: where runs leave their logs; on this machine.
    """

    folder: Folder
    logs: Path

    def prepare(self) -> None:
        """Make the folders that a store needs before files can be put; OSError if none can be."""

    def holds_others(self) -> bool:
        """Return whether the place holds files that are not of a new store."""

    def scratch(self) -> AbstractContextManager[Path]:
        """Return a context of an empty folder on this machine, which is removed at its end."""

    def put(self, file: str, content: Content) -> None:
        """Write a file, absent or complete at every moment, in place of an earlier one."""

    def remove(self, files: Sequence[str]) -> None:
        """Remove files, those that are there."""

    def lock(self) -> AbstractContextManager[None]:
        """Lock the store for a run; StoreError if it allows one run, and another holds it."""

    def alive(self, run_id: str) -> AbstractContextManager[None]:
        """Show, until the context ends, that a run is alive."""

    def sweep(self) -> None:
        """Remove the unfinished files of runs that have ended."""

    def left(self, parts: list[Part]) -> list[Part]:
        """Return those of some parts without scores whose run will not write the scores."""

    def silent_runs(self) -> list[str]:
        """Return runs that have ended or were killed."""

    def forget(self, run_id: str) -> None:
        """Note that the record of a silent run was updated."""


def writer_for(folder: Folder) -> Writer:
    """Return what writes a store in this folder."""
    return DiskWriter(folder) if isinstance(folder, LocalFolder) else BucketWriter(folder)


class DiskWriter:
    """Writes parts aside, synced, in a folder of their own, and renames them; under a lock."""

    def __init__(self, folder: LocalFolder) -> None:
        """Take the store's folder."""
        self.folder: Folder = folder
        self._root = folder.root
        self._staging = folder.root / ".staging"
        self.logs = folder.root / "logs"

    def prepare(self) -> None:
        """Make the folders, and see that they take a file."""
        for path in (self._staging, self.logs, *(self._root / table for table in TABLES)):
            path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=self._staging):  # else a run would find out at its first part
            pass

    def holds_others(self) -> bool:
        """Return whether the folder holds other files than those that a store writes first."""
        return self._root.exists() and any(
            path != self._staging
            and not path.name.startswith(f".{MARKER_FILE}-")
            and not is_of_system(path.name)
            for path in self._root.iterdir()
        )

    def put(self, file: str, content: Content) -> None:
        """Write a file aside, sync it and rename it."""
        aside = self._staging / file.replace("/", "-")
        with aside.open("w+b") as opened:
            write_parquet(content, opened)
            opened.flush()
            os.fsync(opened.fileno())
        place(aside, self._root / file)

    def scratch(self) -> AbstractContextManager[Path]:
        """Make a folder in the staging folder: there is room for it if there is for the store."""
        return _scratch(self._staging)

    def remove(self, files: Sequence[str]) -> None:
        """Remove one file after the other."""
        for file in files:
            self.folder.remove(file)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the store for one writing run; the lock ends with its process at the latest.

        Raises:
            StoreError: another run holds it.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock(self._root / ".lock", wait=False))
            except LockHeld as error:
                raise StoreError(
                    f"{self._root}: another run is writing here{error.who}: wait for it, or "
                    "choose another --results"
                ) from error
            except OSError as error:
                raise StoreError(f"{self._root}: cannot be locked ({error})") from error
            yield

    def alive(self, run_id: str) -> AbstractContextManager[None]:
        """Do nothing: the lock shows it."""
        return nullcontext()

    def sweep(self) -> None:
        """Empty the staging folder; the caller holds the lock."""
        for path in self._staging.iterdir():
            if path.name.startswith(_SCRATCH):
                shutil.rmtree(path)
            elif not path.is_dir():  # ``@eaDir`` and the like of a file server
                path.unlink()

    def left(self, parts: list[Part]) -> list[Part]:
        """Return all: the caller holds the lock, so no other run will write their scores."""
        return parts

    def silent_runs(self) -> list[str]:
        """Return all: the caller holds the lock, so none is alive."""
        return [part.name for part in parts_of(self.folder, RUNS)]

    def forget(self, run_id: str) -> None:
        """Do nothing."""


class BucketWriter:
    """Puts each part by one request; other runs may do so at the same time."""

    def __init__(self, folder: Folder) -> None:
        """Take the store's folder."""
        self.folder = folder
        self.logs = home() / "logs"

    def prepare(self) -> None:
        """Do nothing: a bucket has no folders."""

    def holds_others(self) -> bool:
        """Return whether there is any object."""
        return any(
            file.name and not is_of_system(file.name.rpartition("/")[2])
            for file in self.folder.files()
        )

    def put(self, file: str, content: Content) -> None:
        """Put a file."""
        with TemporaryFile() as aside:
            write_parquet(content, aside)
            aside.seek(0)
            self.folder.write(file, aside.read())

    def scratch(self) -> AbstractContextManager[Path]:
        """Make a temporary folder."""
        return _scratch(None)

    def remove(self, files: Sequence[str]) -> None:
        """Remove many files at a time."""
        with ThreadPoolExecutor(WRITES_AT_ONCE) as pool:
            list(pool.map(self.folder.remove, files))

    def lock(self) -> AbstractContextManager[None]:
        """Do nothing: others may write as well."""
        return nullcontext()

    @contextmanager
    def alive(self, run_id: str) -> Iterator[None]:
        """Rewrite an object every `PULSE_SECONDS`, and remove it at the end."""
        name = f"{ALIVE}/{run_id}"
        self.folder.write(name, b"")
        over = threading.Event()
        pulse = threading.Thread(target=self._show_life, args=(name, over.wait), daemon=True)
        pulse.start()
        try:
            yield
        finally:
            over.set()
            pulse.join(STOPPING_SECONDS)
            with suppress(OSError):
                self.folder.remove(name)

    def sweep(self) -> None:
        """Do nothing: a bucket has no unfinished files."""

    def left(self, parts: list[Part]) -> list[Part]:
        """Return those that are older than `ORPHAN_SECONDS`."""
        if not parts:
            return []
        oldest_ns = self._now_ns() - int(ORPHAN_SECONDS * 1e9)
        return [part for part in parts if part.modified_ns < oldest_ns]

    def silent_runs(self) -> list[str]:
        """Return runs whose sign of life is still there, and older than `SILENT_SECONDS`."""
        shown = list(self.folder.files(ALIVE))
        if not shown:
            return []
        oldest_ns = self._now_ns() - int(SILENT_SECONDS * 1e9)
        return [
            file.name.removeprefix(f"{ALIVE}/") for file in shown if file.modified_ns < oldest_ns
        ]

    def forget(self, run_id: str) -> None:
        """Remove the run's sign of life."""
        self.folder.remove(f"{ALIVE}/{run_id}")

    def _show_life(self, name: str, over: Callable[[float], bool]) -> None:
        while not over(PULSE_SECONDS):
            with suppress(OSError):  # the next may succeed; a commit reports the error
                self.folder.write(name, b"")

    def _now_ns(self) -> int:
        """Return the storage's time: that of an object that was just written."""
        self.folder.write(CLOCK, b"")
        written = self.folder.status(CLOCK)
        if written is None:
            raise FileNotFoundError(f"{self.folder.uri}/{CLOCK}: was removed by somebody")
        return written.modified_ns


@contextmanager
def _scratch(below: Path | None) -> Iterator[Path]:
    with TemporaryDirectory(prefix=_SCRATCH, dir=below, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
