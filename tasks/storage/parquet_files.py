"""Parquet files with a checksum, written at once or while their rows are read.

A file carries a SHA-256 of all its other bytes, between its pages and its footer, where no reader
of Parquet looks.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.storage.folder import CHUNK_BYTES

ROW_GROUP_ROWS = 122_880

Content: TypeAlias = "pa.Table | pa.RecordBatchReader"
"""Rows of a file: all of them, or read while they are written."""

Metadata: TypeAlias = Mapping[bytes, bytes] | None

_SEAL = b"\nemi sha-256 of all other bytes: "
_DIGEST_BYTES = hashlib.sha256().digest_size
_MAGIC = b"PAR1"
_END_BYTES = 8
"""The length of the footer, 4 bytes, little-endian, and `_MAGIC`."""


def parquet_bytes(content: Content) -> bytes:
    """Return rows as a Parquet file with a checksum."""
    buffer = io.BytesIO()
    write_parquet(content, buffer)
    return buffer.getvalue()


def write_parquet(content: Content, file: BinaryIO) -> None:
    """Write rows as a Parquet file with a checksum; a reader's as they come.

    Args:
        content: the rows; batches of a reader become row groups.
        file: empty, for reading and writing.
    """
    with pq.ParquetWriter(
        file, content.schema, compression="zstd", use_dictionary=_repeating(content.schema)
    ) as writer:
        for rows in [content] if isinstance(content, pa.Table) else content:
            writer.write(rows, ROW_GROUP_ROWS)
    seal(file)


def _repeating(schema: pa.Schema) -> list[str]:
    """Return the columns that are written as a dictionary and places in it: all but real numbers.

    Scores hardly repeat: their dictionary would make a file a third longer, and reading it slower.
    """
    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    return [path for path, kind in leaves if not pa.types.is_floating(kind)]


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """Yield the paths in a Parquet file, and the types, of what a column is made of."""
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.key", kind.key_type)
        yield from _leaves(f"{path}.key_value.value", kind.item_type)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path, kind


def holds_rows(content: Content) -> bool:
    """Return whether there are rows; a reader is one of some."""
    return not isinstance(content, pa.Table) or content.num_rows > 0


def with_metadata(content: Content, metadata: Metadata) -> Content:
    """Return rows under a schema with this metadata and no other."""
    if isinstance(content, pa.Table):
        return content.replace_schema_metadata(metadata)
    return pa.RecordBatchReader.from_batches(content.schema.with_metadata(metadata), content)


def seal(file: BinaryIO) -> None:
    """Give a Parquet file a checksum, which readers of Parquet pass over.

    They find columns by their distance from the file's start, and the footer from its end.

    Args:
        file: complete, for reading and writing.
    """
    num_bytes = file.seek(0, os.SEEK_END)
    start = _footer_start(file, num_bytes)
    digest = _digest(file, 0, num_bytes)
    file.seek(start)
    footer = file.read()
    file.seek(start)
    file.write(_SEAL + digest.digest() + footer)


def _footer_start(file: BinaryIO, num_bytes: int) -> int:
    """Return where a Parquet file's footer begins; 0 if its end does not say it."""
    file.seek(max(0, num_bytes - _END_BYTES))
    end = file.read()
    if not end.endswith(_MAGIC):
        return 0
    return max(0, num_bytes - _END_BYTES - int.from_bytes(end[: -len(_MAGIC)], "little"))


def is_as_sealed(file: BinaryIO) -> bool | None:
    """Return whether a file's checksum is right; None if it has none."""
    num_bytes = file.seek(0, os.SEEK_END)
    start = _footer_start(file, num_bytes) - _DIGEST_BYTES
    pages = max(0, start - len(_SEAL))
    file.seek(pages)
    if file.read(max(0, start - pages)) != _SEAL:
        return None
    written = file.read(_DIGEST_BYTES)
    digest = _digest(file, 0, pages)
    return bool(_digest(file, start + _DIGEST_BYTES, num_bytes, digest).digest() == written)


def _digest(file: BinaryIO, start: int, end: int, digest: Any = None) -> Any:
    """Return SHA-256 over a stretch of a file, after what a digest has seen before."""
    digest = hashlib.sha256() if digest is None else digest
    file.seek(start)
    while piece := file.read(min(CHUNK_BYTES, end - file.tell())):
        digest.update(piece)
    return digest
