"""Tables of features, Parquet or CSV: a row an entry, or a row a clip with a list of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from emi_model.errors import CorpusError
from tasks.corpus.features.arrays import MILLISECONDS, RATES, TIMES

CLIP_COLUMNS = ("clip_id", "filename", "file_name", "clip", "name", "file", "path", "id", "video")
"""Names of the column that says whose features a row holds; the first one that is there."""

TABLE_SUFFIXES = (".parquet", ".csv", ".tsv")

_OF_A_MANIFEST = "uri"
_PARQUET_MAGIC = b"PAR1"
_HEADER_BYTES = 2**20


class ClipTable(NamedTuple):
    """The rows of one clip.

    Attributes:
        name: as the table spells it.
        values: float32 (N, D).
        times: seconds of each row; None where the table has no such column.
        rate: entries a second, where a column says so.
    """

    name: str
    values: NDArray[np.float32]
    times: NDArray[np.float64] | None
    rate: float | None


def is_feature_table(source: str) -> bool:
    """Return whether a file is a table of features by its header: clips, numbers, and no ``uri``.

    A file that cannot be read as a table is none.
    """
    path = Path(source)
    if path.suffix.lower() not in TABLE_SUFFIXES or not path.is_file():
        return False
    try:
        schema = _schema(path)
    except (OSError, ValueError, pa.ArrowException):
        return False
    names = [name.strip().lower() for name in schema.names]
    numbers = [field for field in schema if _width(field.type) is not None]
    is_clip = _clip_column(schema) is not None
    return is_clip and _OF_A_MANIFEST not in names and bool(numbers)


def read_clip_tables(path: Path) -> Iterator[ClipTable]:
    """Yield the rows of each clip of a table, in order of their times, else in the table's.

    Columns of numbers, or of lists of numbers, are the values; others are left out.

    Raises:
        CorpusError: it cannot be read, or a row names no clip or has a list of another length.
    """
    try:
        table = _read(path)
        yield from _clips(table)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorpusError(
            f"{path}: cannot be read as a table of features: {error}: expected a column "
            f"{CLIP_COLUMNS[0]} and columns of numbers"
        ) from error


def _clips(table: pa.Table) -> Iterator[ClipTable]:
    clip = _clip_column(table.schema)
    if clip is None:
        raise ValueError(f"found columns {', '.join(table.schema.names[:8])}, none names the clip")
    if table[clip].null_count:
        raise ValueError(f"column {clip} is empty in {table[clip].null_count} rows")
    times, rate = _times(table), _named(table, RATES)
    apart = {clip, *(name for name in table.schema.names if name.strip().lower() in _APART)}
    parts = [
        _matrix(name, table[name])
        for name in table.schema.names
        if name not in apart and _width(table.schema.field(name).type) is not None
    ]
    if not parts:
        raise ValueError("found no column of numbers")
    values = np.concatenate(parts, axis=1)
    codes = pc.dictionary_encode(table[clip].cast(pa.string()).combine_chunks())
    order = codes.indices.to_numpy(zero_copy_only=False)
    keys = (order,) if times is None else (times, order)
    places = np.lexsort(keys)
    bounds = np.searchsorted(order[places], np.arange(len(codes.dictionary) + 1))
    for code, name in enumerate(codes.dictionary.to_pylist()):
        rows = places[bounds[code] : bounds[code + 1]]
        yield ClipTable(
            name,
            values[rows],
            None if times is None else times[rows],
            None if rate is None else float(rate[rows[0]]),
        )


_APART = {*TIMES, *MILLISECONDS, *RATES}


def _times(table: pa.Table) -> NDArray[np.float64] | None:
    seconds = _named(table, TIMES)
    if seconds is not None:
        return seconds
    milliseconds = _named(table, MILLISECONDS)
    return None if milliseconds is None else milliseconds / 1000


def _named(table: pa.Table, names: tuple[str, ...]) -> NDArray[np.float64] | None:
    """Return the column of numbers of one of some names; None if there is none."""
    for column in table.schema.names:
        if column.strip().lower() in names and _width(table.schema.field(column).type) == 1:
            found: NDArray[np.float64] = table[column].cast(pa.float64()).to_numpy()
            return found
    return None


def _clip_column(schema: pa.Schema) -> str | None:
    spelled = {name.strip().lower(): name for name in schema.names}
    return next((spelled[name] for name in CLIP_COLUMNS if name in spelled), None)


def _width(kind: pa.DataType) -> int | None:
    """Return 1 of a column of numbers, 0 of lists of numbers, None of anything else."""
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if any(is_list(kind) for is_list in lists):
        return 0 if _width(kind.value_type) == 1 else None
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return 1 if any(is_number(kind) for is_number in tests) else None


def _matrix(name: str, column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Return a column as (rows, its values), NaN where it is empty."""
    whole = column.combine_chunks()
    if _width(column.type) == 1:
        kind = pa.float32() if not pa.types.is_boolean(column.type) else pa.uint8()
        numbers: NDArray[Any] = whole.cast(kind, safe=False).to_numpy(zero_copy_only=False)
        return numbers.astype(np.float32)[:, None]
    lengths = pc.list_value_length(whole).drop_null().unique().to_pylist()
    if len(lengths) != 1 or not lengths[0]:
        raise ValueError(f"column {name} holds lists of {sorted(lengths)[:4]} numbers, not of one")
    found = np.full((len(whole), lengths[0]), np.nan, np.float32)
    flat = pc.list_flatten(whole).cast(pa.float32(), safe=False)
    present = whole.is_valid().to_numpy(zero_copy_only=False)
    found[present] = flat.to_numpy(zero_copy_only=False).reshape(-1, lengths[0])
    return found


def _schema(path: Path) -> pa.Schema:
    """Return the columns of a table; of a CSV by its first rows."""
    if _is_parquet(path):
        return pq.read_schema(path)
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    whole = head[: head.rfind(b"\n") + 1] if len(head) == _HEADER_BYTES else head
    return _read_csv(pa.BufferReader(whole), head).schema


def _read(path: Path) -> pa.Table:
    if _is_parquet(path):
        return pq.read_table(path)
    with path.open("rb") as file:
        head = file.readline()
    return _read_csv(str(path), head)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def _read_csv(source: Any, head: bytes) -> pa.Table:
    """Return a CSV as a table; names of clips stay text: ids may start with zeros."""
    header = head.partition(b"\n")[0].decode("utf-8-sig", errors="replace")
    separator = max((",", ";", "\t"), key=header.count)
    names = [name.strip().strip('"') for name in header.strip().split(separator)]
    texts = {name: pa.string() for name in names if name.lower() in CLIP_COLUMNS}
    return pv.read_csv(
        source,
        parse_options=pv.ParseOptions(delimiter=separator),
        convert_options=pv.ConvertOptions(column_types=texts, strings_can_be_null=True),
    )
