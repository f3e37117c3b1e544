"""A folder that the user names: on a disk, or a prefix in a bucket, with the same few promises.

    /data/clips, file:///data/clips       a folder
    s3://BUCKET/clips, gs://, az://       objects; endpoint and credentials by the environment

What is written is absent or complete at every moment: on a disk it is written aside, synced and
renamed, in a bucket it is one request. `create` never replaces a file, even one that another
process writes at the same time: in a bucket it is a conditional request (If-None-Match), on a disk
a hard link. A name is taken as it is, with no
percent signs decoded: ``s3://BUCKET/a%20b`` is another object than ``s3://BUCKET/a b``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

CHUNK_BYTES = 8 * 2**20

OF_SYSTEM = frozenset(
    {
        *(".ds_store", ".localized", ".fseventsd", ".spotlight-v100", ".temporaryitems"),
        *(".appledouble", ".documentrevisions-v100", "__macosx", ".trash", ".trashes", "recycler"),
        *("thumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *("@eadir", "@recycle", "@recycle bin", "#recycle", "#snapshot", ".snapshot", ".@__thumb"),
        *(".directory", "lost+found"),
    }
)
"""Names, in lower case, that macOS, Windows, Linux and network storage put into folders."""


class UnfitName(OSError):
    """A name that object storage may have, but its client does not take: an empty part, a tab."""


class StoredFile(NamedTuple):
    """A file of a folder.

    Attributes:
        name: path below the folder, with slashes.
        size: bytes.
        modified_ns: modification time, nanoseconds since 1970, of any year; whole seconds in a
            bucket.
        tag: changes with the content; empty where the storage has none.
    """

    name: str
    size: int
    modified_ns: int
    tag: str = ""


def is_of_system(name: str) -> bool:
    """Return whether desktops and file servers make a file or folder of this name by themselves."""
    lower = name.lower()
    return lower in OF_SYSTEM or lower.startswith(("._", ".trash-"))


def recordable_ns(modified_ns: int) -> int | None:
    """Return a time, nanoseconds since 1970, as tables hold it; None if int64 is too small for it.

    That is before September 1677 and after April 2262: NTFS without a time says 1601.
    """
    return modified_ns if -(2**63) <= modified_ns < 2**63 else None


class Folder(Protocol):
    """A folder; every name is a path below it, with slashes.

    Attributes:
        uri: as people name it, without a slash at its end.
    """

    uri: str

    def files(self, below: str = "") -> Iterator[StoredFile]:
        """Yield what lies in it or below it, in no order; nothing if it is not there."""

    def status(self, name: str) -> StoredFile | None:
        """Return a file's size, time and tag; None if there is none."""

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""

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
