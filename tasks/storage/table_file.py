"""Tables that people hand in, CSV in UTF-8 or Parquet, on a disk or in a bucket, as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.storage.open import open_file

_PARQUET_MAGIC = b"PAR1"


class TableFile(NamedTuple):
    """A table as its file spells it.

    Attributes:
        header: names of the columns.
        rows: number and cells of each row; an empty cell is an empty text.
        counted_in: what the numbers are: ``line`` of a CSV, whose header is line 1, or ``row`` of
            a Parquet file.
        numeric: columns that a Parquet file holds as numbers, with their types.
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]
    counted_in: str
    numeric: Mapping[str, str] = {}


def read_table_file(reference: str, columns: Collection[str] = ()) -> TableFile:
    """Return a table; its content decides what it is, not its suffix.

    Args:
        reference: of the file.
        columns: read no others of a Parquet file; default all.

    Raises:
        ValueError: it cannot be read; the text says why.
    """
    try:
        folder, name = open_file(reference)
        content = folder.read(name)
        is_parquet = content.startswith(_PARQUET_MAGIC)
        return _read_parquet(content, columns) if is_parquet else _read_csv(content)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise ValueError(str(error)) from error


def _read_csv(content: bytes) -> TableFile:
    # utf-8-sig: spreadsheets put a byte order mark before the first name
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    header = next(reader, [])
    return TableFile(header, [(reader.line_num, cells) for cells in reader if cells], "line")


def _read_parquet(content: bytes, columns: Collection[str]) -> TableFile:
    file = pq.ParquetFile(pa.BufferReader(content))
    names = [name for name in file.schema_arrow.names if not columns or name in columns]
    table = file.read(columns=names)
    numeric = {
        field.name: str(field.type)
        for field in table.schema
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    }
    texts = [column.cast(pa.string()).fill_null("").to_pylist() for column in table.columns]
    rows = [(number, list(cells)) for number, cells in enumerate(zip(*texts, strict=True), 1)]
    return TableFile(table.schema.names, rows, "row", numeric)
