"""Where an export goes: it is written aside and placed whole, into a folder, a file or a bucket.

On a disk what was written is renamed: it is there whole or not at all. A folder that is there keeps
its mode, and may be a link or a mount: files are renamed into it. In a bucket, which cannot rename,
objects are put. Both go one by one, and the one that says where they come from last: without it an
export is not whole. What an error or Ctrl-C leaves of them is removed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from emi_model.errors import ExportError
from tasks.storage.local import sync_folder
from tasks.storage.open import is_remote, local_path, open_file, open_folder

_ASIDE = ".emi-export-"
"""Begins the name of a folder for what is not whole yet; a killed process leaves it."""

SENT_AT_ONCE = 16
_NAMES_AT_ONCE = 1_000


class Place:
    """A place for one export.

    Attributes:
        uri: as the user names it.
        is_folder: whether the export is a folder; else it is a file, with others beside it.
        aside: a folder of this machine, for what is not whole yet.
    """

    def __init__(self, uri: str, aside: Path, *, is_folder: bool) -> None:
        """Take a place; `placed` gives one."""
        self.uri = uri
        self.is_folder = is_folder
        self.aside = aside
        self._num_tries = 0

    def fresh(self) -> Path:
        """Return a new folder to write to; of an export that is a file, for it and its companions.

        An attempt that failed leaves its own folder, which the end removes.
        """
        self._num_tries += 1
        folder = self.aside / f"attempt-{self._num_tries}"
        folder.mkdir()
        return folder

    def keep(self, written: Path, last: str) -> None:
        """Place what was written.

        Args:
            written: a folder that `fresh` gave.
            last: the name of the file in it that comes last: where it is there, all is.

        Raises:
            ExportError: the disk or the bucket does not take it.
        """
        try:
            if is_remote(self.uri):
                self._send(written, last)
            elif self.is_folder and local_path(self.uri).is_dir():
                _check(self.uri, is_folder=True)
                os.sync()
                _fill(local_path(self.uri), written, last)
            elif self.is_folder:
                os.sync()
                written.rename(local_path(self.uri))
                sync_folder(local_path(self.uri).parent)
            else:
                _move(written, local_path(self.uri).parent, last)
        except OSError as error:
            raise ExportError(
                f"{self.uri}: cannot be written: {error.strerror or error}"
            ) from error

    def _send(self, written: Path, last: str) -> None:
        from tasks.storage.buckets import BucketFolder  # exports to a disk never load the client

        folder = open_folder(self.uri) if self.is_folder else open_file(self.uri)[0]
        assert isinstance(folder, BucketFolder), "a remote place is a bucket"
        names = (name for name in _names(written) if name != last)
        try:
            with ThreadPoolExecutor(SENT_AT_ONCE) as pool:
                while some := list(islice(names, _NAMES_AT_ONCE)):
                    list(pool.map(lambda name: folder.send(name, written / name), some))
            folder.send(last, written / last)
        except BaseException:
            with ThreadPoolExecutor(SENT_AT_ONCE) as pool:
                for name in (name for name in _names(written) if name != last):
                    pool.submit(folder.remove, name)
            raise


@contextmanager
def placed(uri: str, *, is_folder: bool) -> Iterator[Place]:
    """Yield a place for an export, and remove at the end what was not placed.

    Args:
        uri: a path, or ``s3://`` and the like. A folder must be new or empty; a file is replaced.
        is_folder: which of them it is to be.

    Raises:
        ExportError: something else is there, or it cannot be written.
    """
    try:
        _check(uri, is_folder=is_folder)
        parent = None
        if not is_remote(uri):
            path = local_path(uri).absolute()
            parent = path if path.is_dir() else path.parent  # what is above it may be read-only
            parent.mkdir(parents=True, exist_ok=True)
        aside = tempfile.TemporaryDirectory(prefix=_ASIDE, dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise ExportError(f"{uri}: cannot be written: {error.strerror or error}") from error
    with aside as folder:
        yield Place(uri, Path(folder), is_folder=is_folder)


def _check(uri: str, *, is_folder: bool) -> None:
    if is_remote(uri):
        if is_folder and next(iter(open_folder(uri).files()), None) is not None:
            raise ExportError(f"{uri}: holds objects already: choose a new prefix")
        return
    path = local_path(uri)
    if is_folder and path.exists() and (not path.is_dir() or _holds_any(path)):
        raise ExportError(f"{uri}: is there already, expected a new or empty folder")
    if not is_folder and path.is_dir():
        raise ExportError(f"{uri}: is a folder, expected a file")


def _holds_any(folder: Path) -> bool:
    return any(not path.name.startswith(_ASIDE) for path in folder.iterdir())


def _names(written: Path) -> Iterator[str]:
    """Yield the names of the files below a folder, with slashes."""
    for folder, _, names in os.walk(written):
        for name in names:
            yield Path(folder, name).relative_to(written).as_posix()


def _move(written: Path, folder: Path, last: str) -> None:
    """Rename files into a folder, synced, each in place of an earlier one."""
    for name in sorted(_names(written), key=lambda name: name == last):
        with (written / name).open("rb") as file:
            os.fsync(file.fileno())
        (written / name).replace(folder / name)
    sync_folder(folder)


def _fill(folder: Path, written: Path, last: str) -> None:
    """Rename what was written into a folder, synced; all of it or nothing."""
    entries = sorted(written.iterdir(), key=lambda entry: entry.name == last)
    try:
        for entry in entries:
            entry.rename(folder / entry.name)
    except BaseException:
        for entry in entries:
            if not entry.exists():
                (folder / entry.name).rename(entry)
        raise
    sync_folder(folder)
