"""Manifests: tables of clips, CSV or Parquet, on a disk or in a bucket."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from emi_model.errors import CorpusError
from tasks.storage.open import is_remote, local_path
from tasks.storage.table_file import read_table_file

MANIFEST_SUFFIXES = (".csv", ".parquet")


class Named(NamedTuple):
    """A clip that a manifest names.

    Attributes:
        clip_id: its column ``clip_id``, else its ``uri`` as it stands there.
        path: where it lies, as in `tasks.corpus.clips.ClipFile`.
    """

    clip_id: str
    path: bytes


def read_manifest(source: str) -> list[Named]:
    """Return the clips of a manifest, in its order.

    Args:
        source: a table with a column ``uri``: paths relative to where the manifest lies, ``file:``
            URIs, or ``s3://`` and the like, taken as they are; and optionally ``clip_id``.

    Raises:
        CorpusError: it cannot be read, or a row names no clip, or names one again.
    """
    found: dict[str, Named] = {}
    for number, row in enumerate(_rows(source), start=1):
        uri = row.get("uri")
        if not uri:
            raise CorpusError(f"{source}: row {number} has no uri: expected a column uri, filled")
        clip_id = row.get("clip_id") or uri
        if clip_id in found:
            raise CorpusError(f"{source}: row {number} repeats {clip_id}: expected every clip once")
        try:
            found[clip_id] = Named(clip_id, os.fsencode(_located(uri, source)))
        except ValueError as error:
            raise CorpusError(f"{source}: row {number}: {error}") from error
    if not found:
        raise CorpusError(f"{source}: the manifest has no rows")
    return list(found.values())


def _rows(source: str) -> list[dict[str, str]]:
    try:
        table = read_table_file(source, ("uri", "clip_id"))
    except ValueError as error:
        raise CorpusError(f"{source}: cannot be read as a manifest: {error}") from error
    if table.counted_in == "row" and "uri" not in table.header:
        raise CorpusError(f"{source}: has no column uri: expected one, filled")
    # a short row lacks its last columns
    return [dict(zip(table.header, cells, strict=False)) for _, cells in table.rows]


def _located(uri: str, manifest: str) -> str:
    """Return where a row's clip lies.

    Raises:
        ValueError: nowhere that we reach.
    """
    if is_remote(uri):
        return uri
    scheme = urlsplit(uri).scheme
    if scheme != "file" and "://" in uri:
        raise ValueError(f"{scheme}: is not supported, expected files, s3://, gs:// or az://")
    path = local_path(uri)
    if is_remote(manifest) and not path.is_absolute():
        return _beside(uri, manifest)
    return str(Path(manifest).parent / path)


def _beside(path: str, manifest: str) -> str:
    scheme, _, place = manifest.partition("://")
    bucket, _, key = place.partition("/")
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(key), path))
    if beside.startswith("../"):
        raise ValueError(f"{path} leads out of the bucket {bucket}")
    return f"{scheme}://{bucket}/{beside}"
