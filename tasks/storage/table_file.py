"""Tables that people hand in, on a disk or in a bucket, as text: CSV, Parquet, rated tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.storage.open import open_file
from tasks.storage.rated_tasks import is_list_of_tasks, read_rated_tasks
from tasks.storage.table_text import MAX_CELL, MAX_COLUMNS, decode_text, read_text_table

_PARQUET_MAGIC = b"PAR1"


class TableFile(NamedTuple):
    """A table as its file spells it.

    Attributes:
        header: names of the columns.
        rows: number and cells of each row; an empty cell is an empty text.
        counted_in: what the numbers are: ``line`` of a CSV, whose header is line 1, ``row`` of a
            Parquet file, ``task`` of a Label Studio export.
        numeric: columns that a Parquet file holds as numbers, with their types.
        dialect: what is unusual about a CSV, in words: its separator, its encoding.
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]
    counted_in: str
    numeric: Mapping[str, str] = {}
    dialect: str = ""


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
        if content.startswith(_PARQUET_MAGIC):
            return _read_parquet(content, columns)
        return _read_tasks(content) if is_list_of_tasks(content) else _read_csv(content)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(str(error)) from error


def read_text_file(reference: str) -> str:
    """Return the text of a file in UTF-8, UTF-16 or CP1252.

    Raises:
        ValueError: it cannot be read; the text says why.
    """
    try:
        folder, name = open_file(reference)
        return decode_text(folder.read(name))[0]
    except OSError as error:
        raise ValueError(str(error)) from error


def _read_tasks(content: bytes) -> TableFile:
    found = read_rated_tasks(content)
    return TableFile(found.header, found.rows, "task", dialect=found.notes)


def _read_csv(content: bytes) -> TableFile:
    found = read_text_table(content)
    return TableFile(found.header, found.rows, "line", dialect=found.dialect)


def _read_parquet(content: bytes, columns: Collection[str]) -> TableFile:
    file = pq.ParquetFile(pa.BufferReader(content))
    names = [name for name in file.schema_arrow.names if not columns or name in columns]
    if len(names) > MAX_COLUMNS:
        raise ValueError(f"has {len(names)} columns, expected at most {MAX_COLUMNS}")
    table = file.read(columns=names)
    numeric = {
        field.name: str(field.type)
        for field in table.schema
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    }
    columns_of_text = [column.cast(pa.string()).fill_null("") for column in table.columns]
    for name, column in zip(names, columns_of_text, strict=True):
        longest = pc.max(pc.utf8_length(column)).as_py() or 0
        if longest > MAX_CELL:
            raise ValueError(
                f"column {name} has a cell of {longest} characters, expected at most {MAX_CELL}"
            )
    texts = [column.to_pylist() for column in columns_of_text]
    rows = [(number, list(cells)) for number, cells in enumerate(zip(*texts, strict=True), 1)]
    return TableFile(table.schema.names, rows, "row", numeric)
