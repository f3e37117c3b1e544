"""Parts of a store in a bucket as files on this machine: fetched once, then read like a disk's.

EMI_HOME/parts/VERSION        a part as the bucket listed it; the least recently used are removed
EMI_HOME/parts/reader-*/      what one reader reads: hard links to parts, laid out like a store
EMI_HOME/parts/reader-*.lock  locked by the reader's process; a folder without a lock is removed

A part never changes, so a version is a part's name, size, time and tag. It gets its name when it is
complete, and a reader keeps its own link: any other process may remove the version meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from tasks.home import home
from tasks.storage.folder import Folder
from tasks.storage.local import LocalFolder
from tasks.storage.locks import file_lock, is_locked
from tasks.store.paths import Part, PartsChanged

MAX_MIRROR_BYTES = 4 * 2**30
"""Of all versions together when a reader ends; a question that needs more is answered as well."""

FETCHES_AT_ONCE = 16

_READER = "reader-"


@contextmanager
def local_parts(folder: Folder, parts: Sequence[Part]) -> Iterator[Path]:
    """Yield a folder on this machine that holds these parts under their names in the store.

    Of a store on a disk it is the store's own. Of a bucket it is a new one with these parts alone.

    Raises:
        PartsChanged: a compaction removed a part from the bucket since it was listed.
        OSError: the bucket does not answer, or this machine's disk does not take the parts.
    """
    if isinstance(folder, LocalFolder):
        yield folder.root.absolute()
        return
    versions = home() / "parts"
    with ExitStack() as stack:
        try:
            own = stack.enter_context(_reader(versions))
        except OSError:  # EMI_HOME cannot be written
            own = Path(stack.enter_context(TemporaryDirectory(prefix="emi-")))
        for table in {part.table for part in parts}:
            (own / table).mkdir()
        try:
            with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
                list(pool.map(partial(_provide, folder, versions, own), parts))
        except FileNotFoundError as error:
            raise PartsChanged(
                f"{folder.uri}: files were compacted away while they were read: try again"
            ) from error
        yield own


def remove_versions() -> None:
    """Remove every version: what of it is still a part is fetched again when it is asked for.

    Raises:
        OSError: one cannot be removed.
    """
    for version in (home() / "parts").glob("*"):
        if not version.name.startswith(_READER):
            version.unlink(missing_ok=True)


@contextmanager
def _reader(versions: Path) -> Iterator[Path]:
    """Yield a new folder, which is locked before it is there and removed at the end."""
    versions.mkdir(parents=True, exist_ok=True)
    with (
        NamedTemporaryFile(prefix=_READER, suffix=".lock", dir=versions) as lock,
        file_lock(Path(lock.name)),
    ):
        own = Path(lock.name).with_suffix("")
        own.mkdir()
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)
            with suppress(OSError):  # some may be another user's
                _remove_left(versions)
                _remove_oldest(versions)


def _provide(folder: Folder, versions: Path, own: Path, part: Part) -> None:
    """Link a version of a part, or fetch the part and make it a version."""
    listed = repr((folder.uri, part)).encode()
    version, file = versions / hashlib.sha256(listed).hexdigest(), own / part.file
    if part.tag:  # without a tag, a content of the same size and second may be another
        with suppress(OSError):  # there is none, or nothing can be linked
            os.utime(version)
            file.hardlink_to(version)
            return
    with file.open("wb") as opened:
        for piece in folder.chunks(part.file):
            opened.write(piece)
        opened.flush()
        os.fsync(opened.fileno())
    with suppress(OSError):  # another reader was first, or nothing can be linked
        version.hardlink_to(file)


def _remove_left(versions: Path) -> None:
    """Remove the folders of readers whose processes were killed."""
    for own in versions.glob(f"{_READER}*"):
        lock = own.with_suffix(".lock")
        if own.is_dir() and not is_locked(lock):
            shutil.rmtree(own, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _remove_oldest(versions: Path) -> None:
    """Remove the versions that were not used for longest, until the rest is within the bound."""
    found = []
    for version in versions.iterdir():
        with suppress(FileNotFoundError):
            if not version.name.startswith(_READER):
                status = version.stat()
                found.append((status.st_mtime_ns, status.st_size, version))
    num_bytes = 0
    for _, size, version in sorted(found, reverse=True):
        num_bytes += size
        if num_bytes > MAX_MIRROR_BYTES:
            version.unlink(missing_ok=True)
