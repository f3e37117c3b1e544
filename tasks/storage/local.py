"""A folder on a disk."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.progress import remark
from tasks.storage.folder import CHUNK_BYTES, StoredFile

NO_FOLDER_SYNC = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM}
)
"""Errors that mean that a file system (CIFS, some FUSE) does not sync folders."""

ASIDE_PATTERN = ".*.tmp"
"""Names of files that are being written; a killed process leaves them."""

_REMARKED: set[int] = set()


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
        """Yield what lies in it or below it, in no order; links are followed, hidden files too.

        Raises:
            OSError: it is there, and cannot be listed; a folder below it is passed over then.
        """
        top = self.root / below

        def stop(error: OSError) -> None:
            # one that a network drive does not list at this moment is not one without files
            is_absent = isinstance(error, (FileNotFoundError, NotADirectoryError))
            if error.filename == str(top) and not is_absent:
                raise error

        for folder, _, names in os.walk(str(top), onerror=stop, followlinks=True):
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):  # removed meanwhile, or a link to nothing
                    found = path.stat()
                    below_root = path.relative_to(self.root).as_posix()
                    yield StoredFile(below_root, found.st_size, found.st_mtime_ns)

    def status(self, name: str) -> StoredFile | None:
        """Return a file's size and time; None if there is none."""
        try:
            found = (self.root / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return StoredFile(name, found.st_size, found.st_mtime_ns)

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""
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
        """Write a file aside, sync it and rename it; a link to a file stays.

        What is there and no file, such as a pipe, is written to.
        """
        final = (self.root / name).resolve()
        if is_special(final):
            final.write_bytes(content)
            return
        with _aside(final, content) as aside:
            place(aside, final)

    def create(self, name: str, content: bytes) -> None:
        """Write a file aside, sync it and link it; FileExistsError if the name is taken."""
        final = self.root / name
        with _aside(final, content) as aside:
            try:
                final.hardlink_to(aside)
            except FileExistsError:
                # NFS says so too if the link was made and its answer was lost
                if not final.samefile(aside):
                    raise FileExistsError(f"{final}: is there already") from None
            except OSError:  # a file system without hard links
                if final.exists():
                    raise FileExistsError(f"{final}: is there already") from None
                aside.replace(final)
            sync_folder(final.parent)

    def remove(self, name: str) -> None:
        """Remove a file; nothing if there is none."""
        (self.root / name).unlink(missing_ok=True)


def is_special(path: Path) -> bool:
    """Return whether something is there that is neither file nor folder: a pipe, a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


def place(aside: Path, final: Path) -> None:
    """Rename a synced file to its final name, and sync the folder that now names it."""
    aside.replace(final)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that a folder's names survive a power cut, where its file system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
        device = folder.stat().st_dev
        if device not in _REMARKED:
            _REMARKED.add(device)
            remark(
                f"{folder}: its file system does not sync folders ({error.strerror}): a power cut "
                "may lose the file that was written last"
            )


@contextmanager
def _aside(final: Path, content: bytes) -> Iterator[Path]:
    """Write a synced file beside the final one, under a name that no listing takes."""
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
