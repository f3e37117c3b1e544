"""A folder that people name: on a disk, or a prefix in a bucket, with the same few promises.

    /data/clips, file:///data/clips       a folder
    s3://BUCKET/clips, gs://, az://       objects; endpoint and credentials by the environment

What is written is absent or complete at every moment: on a disk it is written aside, synced and
renamed, in a bucket it is one request. `create` never replaces, whoever else writes: there it is a
conditional request (If-None-Match), on a disk a hard link. A name is taken as it is, with no
percent signs decoded: ``s3://BUCKET/a%20b`` is another object than ``s3://BUCKET/a b``.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

REMOTE = re.compile(r"(s3|gs|az)://", re.IGNORECASE)
"""Object storage; for everything else a reference is a path."""

CHUNK_BYTES = 8 * 2**20


class UnfitName(OSError):
    """A name that object storage may have, but its client does not take: an empty part, a tab."""


class StoredFile(NamedTuple):
    """A file of a folder.

    Attributes:
        name: path below the folder, with slashes.
        size: bytes.
        modified_ns: modification time, nanoseconds since 1970; whole seconds in a bucket.
        tag: changes with the content, where the storage says so.
    """

    name: str
    size: int
    modified_ns: int
    tag: str = ""


class Folder(Protocol):
    """A folder; every name is a path below it, with slashes.

    Attributes:
        uri: as people name it, without a slash at its end.
    """

    uri: str

    def files(self, below: str = "") -> Iterator[StoredFile]:
        """Yield what lies in it or below it, in no order; nothing if it is not there."""

    def status(self, name: str) -> StoredFile | None:
        """Return what is known of a file without its content; None if there is none."""

    def exists(self, name: str) -> bool:
        """Tell whether there is a file of this name."""

    def read(self, name: str) -> bytes:
        """Return a file's content; FileNotFoundError if there is none."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file's content piece by piece; FileNotFoundError if there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of an earlier one."""

    def create(self, name: str, content: bytes) -> None:
        """Write a new file; FileExistsError if there is one."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing if there is none."""


def is_remote(reference: str) -> bool:
    """Tell whether a reference names object storage."""
    return REMOTE.match(reference) is not None


def open_folder(reference: str) -> Folder:
    """Return the folder that a reference names; nothing is read yet.

    Raises:
        OSError: a bucket whose settings are not to be had.
    """
    if is_remote(reference):
        from tasks.buckets import BucketFolder  # a folder on a disk does not pay for the client

        return BucketFolder(reference)
    return LocalFolder(local_path(reference))


def open_file(reference: str) -> tuple[Folder, str]:
    """Return the folder that holds the file that a reference names, and the file's name there.

    Raises:
        OSError: as `open_folder`, or no file is named.
    """
    if is_remote(reference):
        parent, _, name = reference.rpartition("/")
        if not name or parent.endswith("/"):
            raise UnfitName(f"{reference}: names no object, or has an empty part")
        return open_folder(parent), name
    path = local_path(reference)
    return LocalFolder(path.parent), path.name


def local_path(reference: str) -> Path:
    """Return the path that a reference names, plain or as a ``file:`` URI."""
    parts = urlsplit(reference)
    return Path(url2pathname(parts.path) if parts.scheme == "file" else reference)


def child(reference: str, name: str) -> str:
    """Return the reference of what lies below a folder."""
    return f"{reference.rstrip('/')}/{name}" if is_remote(reference) else str(Path(reference, name))


class LocalFolder:
    """A folder on a disk.

    Attributes:
        root: its path.
        uri: the same as text.
    """

    def __init__(self, root: Path) -> None:
        """Take a folder, which need not be there yet."""
        self.root = root
        self.uri = str(root)

    def files(self, below: str = "") -> Iterator[StoredFile]:
        """Yield what lies in it or below it, in no order; links are followed, hidden files too."""
        for folder, _, names in os.walk(self.root / below, followlinks=True):
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):  # removed meanwhile, or a link to nothing
                    found = path.stat()
                    below_root = path.relative_to(self.root).as_posix()
                    yield StoredFile(below_root, found.st_size, found.st_mtime_ns)

    def status(self, name: str) -> StoredFile | None:
        """Return what is known of a file without its content; None if there is none."""
        try:
            found = (self.root / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return StoredFile(name, found.st_size, found.st_mtime_ns)

    def exists(self, name: str) -> bool:
        """Tell whether there is a file of this name."""
        return (self.root / name).is_file()

    def read(self, name: str) -> bytes:
        """Return a file's content; FileNotFoundError if there is none."""
        return (self.root / name).read_bytes()

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file's content piece by piece; FileNotFoundError if there is none."""
        with (self.root / name).open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece

    def write(self, name: str, content: bytes) -> None:
        """Write a file aside, sync it and rename it."""
        final = self.root / name
        with _aside(final, content) as aside:
            place(aside, final)

    def create(self, name: str, content: bytes) -> None:
        """Write a file aside, sync it and link it; FileExistsError if the name is taken."""
        final = self.root / name
        with _aside(final, content) as aside:
            try:
                final.hardlink_to(aside)
            except FileExistsError:
                raise FileExistsError(f"{final}: is there already") from None
            except OSError:  # a file system without hard links
                if final.exists():
                    raise FileExistsError(f"{final}: is there already") from None
                aside.replace(final)
            sync_folder(final.parent)

    def remove(self, name: str) -> None:
        """Remove a file; nothing if there is none."""
        (self.root / name).unlink(missing_ok=True)


def place(aside: Path, final: Path) -> None:
    """Rename a synced file to its final name, and sync the folder that now names it."""
    aside.replace(final)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that a folder's names survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _aside(final: Path, content: bytes) -> Iterator[Path]:
    """Write a synced file beside the final one, under a name that no listing of ours takes."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(f"{final.parent}: is no folder") from None
    aside = final.with_name(f".{final.name}-{secrets.token_hex(4)}.tmp")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)
