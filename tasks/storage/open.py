"""The folder or the file that a reference names, on a disk or in a bucket."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from tasks.storage.folder import Folder, UnfitName
from tasks.storage.local import LocalFolder


def _bucket(reference: str) -> Folder:
    from tasks.storage.buckets import BucketFolder  # folders on a disk never load the client

    return BucketFolder(reference)


SCHEMES: Mapping[str, Callable[[str], Folder]] = {"s3": _bucket, "gs": _bucket, "az": _bucket}
"""What opens a reference ``SCHEME://...``; others of that form, but ``file://``, are refused."""

_SCHEME = re.compile(r"(?!file:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_remote(reference: str) -> bool:
    """Return whether a reference names a storage other than a disk."""
    return _opener(reference) is not None


def check_scheme(reference: str) -> None:
    """Refuse a storage that there is no client for: ``gcs://`` would be a folder of this name.

    Raises:
        OSError: the reference begins so.
    """
    if _SCHEME.match(reference) and not is_remote(reference):
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise OSError(f"{reference}: is no place to read or write, expected a path, or {known}")


def local_path(reference: str) -> Path:
    """Return the path that a reference names, plain or as a ``file:`` URI; it may be no text."""
    parts = urlsplit(reference)
    is_uri = parts.scheme == "file"
    return Path(os.fsdecode(unquote_to_bytes(parts.path)) if is_uri else reference)


def child(reference: str, name: str) -> str:
    """Return the reference of what lies below a folder."""
    return f"{reference.rstrip('/')}/{name}" if is_remote(reference) else str(Path(reference, name))


def open_folder(reference: str) -> Folder:
    """Return the folder that a reference names; nothing is read yet.

    Raises:
        OSError: a setting of the bucket is missing, or the storage is of another kind.
    """
    check_scheme(reference)
    opener = _opener(reference)
    return opener(reference) if opener else LocalFolder(local_path(reference))


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
    check_scheme(reference)
    path = local_path(reference)
    return LocalFolder(path.parent), path.name


def _opener(reference: str) -> Callable[[str], Folder] | None:
    scheme, separator, _ = reference.partition("://")
    return SCHEMES.get(scheme.lower()) if separator else None
