"""Damaged parts: found by reading them; named, and passed over by what reads the rest.

Every page of a part has a checksum, as Parquet defines it. Parts of earlier versions have none:
they count as whole if all their pages can be decoded and their statistics are right.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.progress import remark
from tasks.storage.folder import Folder
from tasks.storage.open import child
from tasks.store.mirror import local_parts
from tasks.store.paths import Part

_CHECKED_AT_ONCE = 8
_ARROW_SCHEMA = b"ARROW:schema"
_NAMED = 10


class Damage(NamedTuple):
    """A part that cannot be read as it was written, and why, in a line."""

    part: Part
    why: str


def damaged_parts(folder: Folder, parts: Sequence[Part], *, whole: bool = False) -> list[Damage]:
    """Return those of some parts that are damaged.

    Args:
        folder: of the store.
        parts: of any tables.
        whole: read all pages and compare their checksums; else only the footers.

    Raises:
        PartsChanged: a compaction removed one of them; only of a store in a bucket.
        OSError: a part may not be read, or the bucket does not answer.
    """

    def check(part: Part) -> Damage | None:
        why = _damage(root / part.file, whole)
        return None if why is None else Damage(part, why)

    with local_parts(folder, parts) as root, ThreadPoolExecutor(_CHECKED_AT_ONCE) as pool:
        return [found for found in pool.map(check, parts) if found is not None]


def without_damaged(folder: Folder, parts: Sequence[Part], *, whole: bool = False) -> list[Part]:
    """Return parts without the damaged ones, and name those to the user; as `damaged_parts`."""
    damaged = damaged_parts(folder, parts, whole=whole)
    for found in damaged[:_NAMED]:
        remark(
            f"{child(folder.uri, found.part.file)}: damaged part, passed over ({found.why}): "
            "`emi verify` names its clips, and mends the store with --repair"
        )
    if len(damaged) > _NAMED:
        remark(f"{folder.uri}: {len(damaged)} damaged parts, passed over: see `emi verify`")
    left_out = {found.part for found in damaged}
    return [part for part in parts if part not in left_out]


def _damage(path: Path, whole: bool) -> str | None:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return _false_footer(file) if whole else None
    except FileNotFoundError:  # compacted away since it was listed
        return None
    except (OSError, ValueError, pa.ArrowException) as error:
        if getattr(error, "errno", None) is not None:  # the disk's, not about what was read
            raise
        return _line(error) if path.stat().st_size else "an empty file"


def _line(error: Exception) -> str:
    """Return the first line of an error of Arrow's, without the path that it may begin with."""
    first = str(error).partition("\n")[0]
    return first.rpartition("': ")[2].strip().rstrip(".:")[:200] or type(error).__name__


def _false_footer(file: pq.ParquetFile) -> str | None:
    """Return what a footer says wrongly of the pages, which are all read and verified."""
    written = (file.metadata.metadata or {}).get(_ARROW_SCHEMA)
    if written is not None:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(written, validate=True)))
        if schema.names != file.schema_arrow.names:
            return "names of columns were changed"
    for number in range(file.num_row_groups):
        rows = file.read_row_group(number)
        rows.validate(full=True)
        group = file.metadata.row_group(number)
        if group.num_rows != rows.num_rows:
            return "the number of rows was changed"
        for index in range(group.num_columns):
            column = group.column(index)
            if column.path_in_schema in rows.schema.names and not _is_true(
                column.statistics, rows[column.path_in_schema]
            ):
                return f"values or statistics of {column.path_in_schema} were changed"
    return None


def _is_true(said: pq.Statistics | None, values: pa.ChunkedArray) -> bool:
    """Return whether the extremes that a footer says of a column are those of its values."""
    if said is None or not said.has_min_max or not _is_plain(values.type):
        return True
    found = pc.min_max(values.filter(pc.is_finite(values)) if _is_float(values.type) else values)
    low, high = found["min"].as_py(), found["max"].as_py()
    if low is None or (_is_float(values.type) and not _finite(said.min, said.max)):
        return True
    return bool(low == said.min and high == said.max)


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_integer(kind) or _is_float(kind))


def _is_float(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind))


def _finite(*values: float) -> bool:
    return all(map(math.isfinite, values))
