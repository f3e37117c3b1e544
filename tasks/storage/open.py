"""The folder or the file that a reference names, on a disk or in a bucket."""

from __future__ import annotations

from tasks.storage.folder import Folder, UnfitName, is_remote, local_path
from tasks.storage.local import LocalFolder


def open_folder(reference: str) -> Folder:
    """Return the folder that a reference names; nothing is read yet.

    Raises:
        OSError: a bucket whose settings are not to be had.
    """
    if is_remote(reference):
        from tasks.storage.buckets import (
            BucketFolder,  # a folder on a disk does not pay for the client
        )

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
