"""Tables as JSON lines, CSV (also Excel's), Parquet."""

from __future__ import annotations

import csv
import io
import json
import locale
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, BinaryIO, Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

FileFormat = Literal["csv", "excel", "json", "parquet"]

FORMAT_OF: Mapping[str, FileFormat] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
"""Formats by the suffixes of files."""

ROWS_AT_ONCE = 10_000
"""Rows that are Python objects at once."""

_ENDLESS = (2**63 - 1, 2**31 - 1)
"""What DuckDB keeps an infinite time as, and an infinite date."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What begins a text that Excel would compute; the last four are the wide forms of = + - @."""


def encoded(table: pa.Table, wanted: FileFormat) -> bytes:
    """Return a table as the content of a file; text is in UTF-8."""
    content = io.BytesIO()
    write_tables(table.schema, [table], content, wanted)
    return content.getvalue()


def write_tables(
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    out: BinaryIO,
    wanted: FileFormat,
    *,
    encoding: str = "utf-8",
    errors: str = "backslashreplace",
) -> None:
    """Write tables of the same columns as the content of one file, one after the other.

    Args:
        schema: of all of them.
        tables: read as they are written.
        out: where to.
        wanted: the format.
        encoding: of text.
        errors: what is done with text that the encoding does not have, as `open` takes it.
    """
    if wanted == "parquet":
        with pq.ParquetWriter(out, schema) as writer:
            for table in tables:
                writer.write_table(table)
        return
    text = io.TextIOWrapper(out, encoding, errors, newline="")
    if wanted == "json":
        for table in tables:
            write_json_lines(plain_rows(table), text)
    else:
        rows = CsvWriter(text, schema.names, excel=wanted == "excel")
        for table in tables:
            rows.write(table)
    text.detach()


def write_json_lines(rows: Iterable[Mapping[str, Any]], out: TextIO) -> None:
    """Write rows as one JSON object a line; times in ISO 8601, null for what is not finite."""
    knows_all = (getattr(out, "encoding", None) or "utf-8").lower().startswith("utf")
    for row in rows:
        json.dump(_json_value(row), out, ensure_ascii=not knows_all, allow_nan=False)
        out.write("\n")


def write_csv(table: pa.Table, out: TextIO, *, excel: bool = False) -> None:
    """Write a table as CSV, as `CsvWriter` does."""
    CsvWriter(out, table.schema.names, excel=excel).write(table)


class CsvWriter:
    """Writes tables of the same columns below one header; nested values as JSON, nulls empty."""

    def __init__(self, out: TextIO, names: Sequence[str], *, excel: bool = False) -> None:
        """Write the header.

        Args:
            out: where to.
            names: of the columns.
            excel: as Excel opens it by a double click: a byte order mark, semicolons, decimals
                after the locale's sign, no text that would be computed.
        """
        self._point = decimal_point() if excel else None
        self._writer = csv.writer(_Lines(out), delimiter=";" if excel else ",")
        if excel:
            out.write("\ufeff")
        self._writer.writerow(map(_unlike_a_formula, names) if excel else names)

    def write(self, table: pa.Table) -> None:
        """Write the rows of a table."""
        for row in plain_rows(table):
            cells = map(_cell, row.values())
            point = self._point
            plain = cells if point is None else [_excel_cell(cell, point) for cell in cells]
            self._writer.writerow(plain)


class _Lines:
    """Writes the rows of a `csv.writer`, which end in CR LF, with LF.

    Told to write LF itself, it does not quote a text with a CR, which readers take for a row's end.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, row: str) -> None:
        self._out.write(row.removesuffix("\r\n") + "\n")


def plain_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table in Python's types; None for times without an end."""
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        for values in zip(*map(_plain_values, batch.columns), strict=True):
            yield dict(zip(table.schema.names, values, strict=True))


def _plain_values(column: pa.Array) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except (ValueError, OverflowError):  # a time that Python has not
        return [_plain_value(scalar) for scalar in column]
    return values


def _plain_value(scalar: pa.Scalar) -> Any:
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.MapScalar):
        return {_plain_value(pair["key"]): _plain_value(pair["value"]) for pair in scalar.values}
    if isinstance(scalar, pa.StructScalar):
        return {name: _plain_value(value) for name, value in scalar.items()}
    if isinstance(scalar, pa.ListScalar):
        return [_plain_value(value) for value in scalar.values]
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        is_endless = scalar.value is not None and abs(scalar.value) in _ENDLESS
        text = "<" if is_endless else str(scalar.cast(pa.string()).as_py())
        return None if text.startswith("<") else text  # Arrow's "<value out of range ...>"


def _json_value(value: Any) -> Any:
    """Return a value of JSON's types: null for what is not finite, names for all keys."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(_key(key)): _json_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return [_json_value(inner) for inner in value]
    if isinstance(value, Decimal):  # the type of DuckDB's sums of integers
        return int(value) if value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _key(key: Any) -> str:
    found = _json_value(key)
    return found if isinstance(found, str) else json.dumps(found)


def _cell(value: Any) -> Any:
    nested = isinstance(value, (list, dict))
    return json.dumps(_json_value(value), ensure_ascii=False) if nested else value


def _excel_cell(value: Any, point: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, (float, Decimal)):
        return str(value).replace(".", point)
    return _unlike_a_formula(value) if isinstance(value, str) else value


def _unlike_a_formula(text: str) -> str:
    """Return a text that Excel computes nothing of: a name may begin as a formula does."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def decimal_point() -> str:
    """Return the sign before decimals of the user's locale."""
    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        locale.setlocale(locale.LC_NUMERIC, "")
        return str(locale.localeconv()["decimal_point"])
    except locale.Error:  # named, but not installed
        return "."
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
