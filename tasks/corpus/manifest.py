"""Manifests: tables and lists of clips, on a disk or in a bucket."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from emi_model.errors import CorpusError
from tasks.storage.open import is_remote, local_path
from tasks.storage.table_file import read_table_file, read_text_file

_LISTS, _JSON_LINES = (".txt", ".lst"), (".jsonl", ".ndjson")
MANIFEST_SUFFIXES = (".csv", ".tsv", ".parquet", *_LISTS, *_JSON_LINES, ".json", ".xlsx", ".xls")
"""Suffixes of a file that is no clip; ``.json`` and workbooks are refused in words."""

MAX_SHOWN = 100
"""Characters of a manifest that an error repeats."""

_KEYS = ("uri", "clip_id")
_LINE_END = re.compile(r"\r\n|\n|\r")  # names may hold other signs that str.splitlines() takes


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
        source: CSV or Parquet with a column ``uri``: paths relative to where the manifest lies,
            ``file:`` URIs, or ``s3://`` and the like, taken as they are; and optionally
            ``clip_id``. Or JSON, an object with these keys a line; or text, a ``uri`` a line.

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
        if source.lower().endswith(_JSON_LINES):
            return list(_json_rows(read_text_file(source)))
        if source.lower().endswith(_LISTS) and (listed := _listed(read_text_file(source))):
            return listed
        table = read_table_file(source, _KEYS)
    except ValueError as error:
        raise CorpusError(f"{source}: cannot be read as a manifest: {error}") from error
    header = [name.strip() for name in table.header]
    for number, cells in table.rows:
        if any(cell.strip() for cell in cells[len(header) :]):
            raise CorpusError(
                f"{source}: {table.counted_in} {number} has {len(cells)} cells, expected "
                f"{len(header)}: put a name that holds the separator into double quotes"
            )
    if "uri" not in header and (table.rows or table.counted_in == "row"):
        found = f" among {', '.join(header)[:MAX_SHOWN]}" if any(header) else ""
        raise CorpusError(f"{source}: has no column uri{found}: expected one, filled")
    # a short row lacks its last columns
    return [dict(zip(header, map(str.strip, cells), strict=False)) for _, cells in table.rows]


def _listed(text: str) -> list[dict[str, str]]:
    """Return a row a line; none if the first line is the header of a table with a column uri."""
    lines = [line.strip() for line in _LINE_END.split(text) if line.strip()]
    if lines and "uri" in re.split(r"[,;\t|]", lines[0].replace(" ", "")):
        return []
    return [{"uri": line} for line in lines]


def _json_rows(text: str) -> Iterator[dict[str, str]]:
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} holds {line[:MAX_SHOWN]}, expected an object with uri")
        yield {
            key: _text(row[key], f"line {number}: {key}")
            for key in _KEYS
            if row.get(key) is not None
        }


def _text(value: object, what: str) -> str:
    """Return a name as text; a clip may be called by a number."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{what} is {json.dumps(value)[:MAX_SHOWN]}, expected a text")
    return str(value)


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
