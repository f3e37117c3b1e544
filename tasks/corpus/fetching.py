"""Clips of object storage: fetched to this node's scratch, and hashed meanwhile."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from emi_model.errors import CorpusError
from tasks.schema.outcomes import Reason, Rejection
from tasks.storage.folder import Folder, StoredFile, UnfitName, recordable_ns
from tasks.storage.open import open_file
from tasks.storage.scratch import Scratch, open_scratch

Fetched = TypeVar("Fetched")

PAUSES_SECONDS = (1.0, 5.0, 20.0)
"""Between attempts, within which the client repeats too: a server may be restarting."""

_DETAIL_CHARS = 300
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


class Local(NamedTuple):
    """A clip's file on this node.

    Attributes:
        path: where it lies.
        content_sha256: hash of its content, hex; None if it cannot be read.
        size: bytes; None if it is not there.
        modified_ns: modification time, nanoseconds since 1970; None as of `ClipFile`.
    """

    path: Path
    content_sha256: str | None
    size: int | None
    modified_ns: int | None


class _Changed(OSError):
    """An object does not have the size that it was listed with."""


@contextmanager
def fetched(uri: str, listed: StoredFile | None) -> Iterator[Local | Rejection]:
    """Yield an object as a file, which is removed at the end, or why it cannot be fetched.

    Where only this object fails, it is rejected. Where its storage does not answer at all, no clip
    is rejected.

    Args:
        uri: of the object.
        listed: as the storage listed it; None if it was not.

    Raises:
        CorpusError: the storage does not answer, or this node's disk does not take the file.
    """
    scratch = open_scratch()
    listing = [listed] if listed is not None else []

    with ExitStack() as open_files:

        def attempt(folder: Folder, name: str) -> Local | Rejection:
            found = listing[0] if listing else folder.status(name)
            if found is None:
                raise FileNotFoundError(uri)
            if found.size > scratch.max_bytes:
                words = f"{found.size} bytes, expected at most {scratch.max_bytes} of scratch"
                return Rejection(reason=Reason.TOO_LARGE, detail=words)
            try:
                return _filled(folder, found._replace(name=name), scratch, open_files)
            except _Changed:
                listing.clear()
                raise

        yield _persistent(uri, attempt)


def hash_object(uri: str) -> str | None:
    """Return the SHA-256 (hex) of an object; None if it cannot be fetched.

    Raises:
        CorpusError: the storage does not answer.
    """

    def attempt(folder: Folder, name: str) -> str:
        digest = hashlib.sha256()
        for piece in folder.chunks(name):
            digest.update(piece)
        return digest.hexdigest()

    found = _persistent(uri, attempt)
    return None if isinstance(found, Rejection) else found


def _filled(folder: Folder, listed: StoredFile, scratch: Scratch, open_files: ExitStack) -> Local:
    """Return an object as a file that is there until ``open_files`` is closed."""
    digest, size = hashlib.sha256(), 0
    suffix = PurePosixPath(listed.name).suffix
    with ExitStack() as room:
        file = room.enter_context(
            scratch.room(listed.size, suffix if _SUFFIX.fullmatch(suffix) else "")
        )
        for piece in folder.chunks(listed.name):
            size += len(piece)
            if size > listed.size:
                break
            digest.update(piece)
            with scratch.errors():
                file.write(piece)
        if size != listed.size:
            raise _Changed(f"it was listed with {listed.size} bytes, and changes while it is read")
        with scratch.errors():
            file.flush()
        open_files.push(room.pop_all())
    modified_ns = recordable_ns(listed.modified_ns)
    return Local(Path(file.name), digest.hexdigest(), size, modified_ns)


def _persistent(uri: str, attempt: Callable[[Folder, str], Fetched]) -> Fetched | Rejection:
    for pause in (0.0, *PAUSES_SECONDS):
        time.sleep(pause)
        try:
            return attempt(*open_file(uri))
        except FileNotFoundError:
            return Rejection(reason=Reason.MISSING, detail="no such object")
        except (PermissionError, UnfitName) as error:
            return Rejection(reason=Reason.UNREADABLE, detail=str(error)[:_DETAIL_CHARS])
        except OSError as error:
            problem = error
    if _answers(uri):
        return Rejection(reason=Reason.NOT_FETCHED, detail=str(problem)[:_DETAIL_CHARS])
    raise CorpusError(
        f"the storage of {uri} does not answer ({problem}): run again when it does"
    ) from problem


def _answers(uri: str) -> bool:
    """Return whether a storage answers a list of the folder of an object."""
    try:
        folder, _ = open_file(uri)
        next(folder.files(), None)
    except (PermissionError, UnfitName):
        return True
    except OSError:
        return False
    return True
