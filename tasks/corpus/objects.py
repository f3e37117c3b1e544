"""Clips in buckets: size and time of objects, with few requests."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice

from emi_model.errors import CorpusError
from tasks.storage.folder import StoredFile, UnfitName
from tasks.storage.open import open_file, open_folder
from tasks.threads import map_in_threads

READERS = 16
"""Requests at a time: they wait for the storage, hardly for this machine."""

MIN_LISTED = 20
"""Fewer objects of a bucket are requested one by one."""

MAX_LISTED_EACH = 100
"""A list ends after so many objects for each wanted one: a tenth of a request."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn errors of a storage into a CorpusError of one line.

    Raises:
        CorpusError: what happened.
    """
    try:
        yield
    except UnfitName as error:
        raise CorpusError(
            f"{error}: rename that object, or name the clips in a manifest"
        ) from error
    except OSError as error:
        raise CorpusError(
            f"{error}: expected a bucket that can be read: are its name, the endpoint and the "
            "credentials right?"
        ) from error


def statuses(uris: Sequence[str]) -> Mapping[str, StoredFile | None]:
    """Return size, time and tag of objects by URI; None for those that are absent or refused.

    Where many are in one bucket, their common folder is listed: one request for a thousand objects
    instead of one for each.

    Raises:
        CorpusError: a storage does not answer.
    """
    buckets: dict[str, list[str]] = defaultdict(list)
    for uri in uris:
        scheme, _, place = uri.partition("://")
        bucket, _, key = place.partition("/")
        buckets[f"{scheme}://{bucket}"].append(key)
    found: dict[str, StoredFile | None] = {}
    with storage_errors():
        for bucket, keys in buckets.items():
            found |= _statuses_in(bucket, keys)
    return found


def _statuses_in(bucket: str, keys: Sequence[str]) -> dict[str, StoredFile | None]:
    found: dict[str, StoredFile | None] = {}
    if len(keys) >= MIN_LISTED:
        found |= _listed(bucket, keys)
    uris = dict.fromkeys(f"{bucket}/{key}" for key in keys)
    rest = [uri for uri in uris if uri not in found]
    asked = map_in_threads(rest, lambda: nullcontext(_status), threads=READERS)
    return found | dict(zip(rest, asked, strict=True))


def _listed(bucket: str, keys: Sequence[str]) -> dict[str, StoredFile | None]:
    """Return those objects that a list shows; all of them if the list is short."""
    prefix = posixpath.commonpath([posixpath.dirname(key).strip("/") for key in keys])
    wanted = set(keys)
    found: dict[str, StoredFile | None] = {}
    try:
        folder = open_folder(f"{bucket}/{prefix}")
        listing = folder.files()
        for file in islice(listing, MAX_LISTED_EACH * len(keys)):
            key = f"{prefix}/{file.name}" if prefix else file.name
            if key in wanted:
                found[f"{bucket}/{key}"] = file
        if next(listing, None) is None:
            return {f"{bucket}/{key}": None for key in wanted} | found
    except (PermissionError, UnfitName):
        pass  # a caller that may not list may yet read; the unfit name may be of another object
    return found


def _status(uri: str) -> StoredFile | None:
    try:
        folder, name = open_file(uri)
        return folder.status(name)
    except (PermissionError, UnfitName):
        return None
