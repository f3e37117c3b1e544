"""A clip as it was listed, and the hash of its content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from tasks.corpus.features.arrays import FEATURE_SUFFIXES
from tasks.corpus.fetching import hash_object
from tasks.storage.open import is_remote


class ClipFile(NamedTuple):
    """A clip as it was listed.

    Attributes:
        clip_id: its path below the corpus root, UTF-8; undecodable bytes as a backslash, x, hex.
        path: where it lies, as the file system spells it; of an object its ``s3://`` name, UTF-8.
        size: bytes; None if it is not there.
        modified_ns: modification time, nanoseconds since 1970; None if it is not there, or if its
            time is not `tasks.storage.folder.recordable_ns`.
    """

    clip_id: str
    path: bytes
    size: int | None
    modified_ns: int | None

    @property
    def is_remote(self) -> bool:
        """Whether it is an object of a bucket, not a file."""
        return is_remote(os.fsdecode(self.path))

    @property
    def uri(self) -> str:
        """Where it lies, as the store records it; an object's name is not decoded."""
        return os.fsdecode(self.path) if self.is_remote else self.file().absolute().as_uri()

    def file(self) -> Path:
        """Return where a clip lies that is a file."""
        return Path(os.fsdecode(self.path))


def readable(path: bytes) -> str:
    """Return a path as clip ids spell it: with slashes, undecodable bytes as backslash, x, hex."""
    return path.decode("utf-8", errors="backslashreplace").replace(os.sep, "/")


def hash_clip(clip: ClipFile) -> str | None:
    """Return the SHA-256 (hex) of a clip's content; None if it cannot be read.

    Raises:
        CorpusError: its storage does not answer.
    """
    return hash_object(clip.uri) if clip.is_remote else hash_content(clip.file())


def hash_content(path: Path) -> str | None:
    """Return the SHA-256 (hex) of a regular file; None if it cannot be read.

    Of a file of features the name counts, too: where nothing was found, the arrays of many clips
    are the same zeros, and yet they are different clips.
    """
    try:
        if not path.is_file():  # reading a pipe or a device may never end
            return None
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256")
    except OSError:
        return None
    if path.suffix.lower().removeprefix(".") in FEATURE_SUFFIXES:
        digest.update(os.fsencode(path.name))
    return digest.hexdigest()
