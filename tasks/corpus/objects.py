"""Clips in buckets: what lies below a prefix, and what is known of single objects."""

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
"""Requests at a time: they wait for answers, hardly for this machine."""

MIN_LISTED = 20
"""For fewer objects of a bucket each is asked for by itself."""

MAX_LISTED_EACH = 100
"""A list goes on for so many objects each of those that are looked for: a tenth of a request."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """Say in a line of ours what a storage does not do.

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
    """Return what is known of objects by URI; None for those that are not there or not ours to see.

    A bucket of which many are wanted is listed where they lie; that takes one request for a
    thousand objects, not one for each.

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
    """Return what a list says of objects, of all of them if it is a short one."""
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
        pass  # who may not list may yet read; a name that cannot be listed need not be one of ours
    return found


def _status(uri: str) -> StoredFile | None:
    try:
        folder, name = open_file(uri)
        return folder.status(name)
    except (PermissionError, UnfitName):
        return None
