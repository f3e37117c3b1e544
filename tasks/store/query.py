"""Answers to SQL questions over a results store, as a table, CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TextIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from emi_model.errors import QueryError, StoreError
from tasks.store.readers import reread
from tasks.store.store import open_store
from tasks.store.views import VIEWS, connect, first_line, tables_read

Format = Literal["table", "csv", "json", "parquet"]

MAX_TABLE_ROWS = 100
"""Rows that the table format shows; the other formats give all."""

PIPED_WIDTH = 200
"""Characters of a table's line where no terminal limits it."""


def answer(location: str | Path, sql: str) -> pa.Table:
    """Return the answer to one SELECT over a store.

    Raises:
        StoreError: no store there.
        QueryError: SQL that is wrong, that is no single SELECT, or that reaches outside.
    """
    open_store(location)
    try:
        try:
            return reread(lambda: _answer(location, sql))
        except _MayBeDamage:
            return reread(lambda: _answer(location, sql, verified=True))
    except OSError as error:
        raise StoreError(f"{location}: cannot be read: {error}") from error


class _MayBeDamage(QueryError):
    """DuckDB could not read a part, of which it need not say the name."""


def _answer(location: str | Path, sql: str, *, verified: bool = False) -> pa.Table:
    with connect(location, tables=tables_read(sql), verified=verified) as connection:
        try:
            statements = connection.extract_statements(sql)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise QueryError(
                    f"found {len(statements)} statements, or one that is no SELECT: the store is "
                    f"read only: ask one SELECT over {', '.join(VIEWS)}"
                )
            # A view can only read: a SELECT may hold WITH x AS (COPY ... TO ...), a view not.
            connection.execute(f"CREATE TEMP VIEW answer AS {statements[0].query}")
            return connection.sql("FROM answer").to_arrow_table()
        except duckdb.Error as error:
            # of a page that it cannot decode DuckDB says no more than "Error"
            is_reading = type(error) is duckdb.Error or "Failed to read file" in str(error)
            kind = _MayBeDamage if is_reading and not verified else QueryError
            raise kind(first_line(error)) from error


def stored_question(name: str) -> str:
    """Return the text of ``tasks/store/queries/NAME.sql``."""
    return (resources.files("tasks.store.queries") / f"{name}.sql").read_text(encoding="utf-8")


def write(table: pa.Table, wanted: Format) -> None:
    """Write a table to standard output.

    Raises:
        QueryError: Parquet, and standard output is a terminal.
    """
    if wanted == "table":
        width = None if sys.stdout.isatty() else PIPED_WIDTH
        duckdb.from_arrow(table).show(max_rows=MAX_TABLE_ROWS, max_width=width)
    elif wanted == "csv":
        _write_csv(table, sys.stdout)
    elif wanted == "json":
        write_json_lines(_plain(table), sys.stdout)
    elif sys.stdout.isatty():
        raise QueryError("parquet is binary: send it to a file, `... --format parquet > FILE`")
    else:
        pq.write_table(table, sys.stdout.buffer)
    sys.stdout.flush()


def write_json_lines(rows: Iterable[Mapping[str, Any]], out: TextIO) -> None:
    """Write rows as one JSON object a line; times in ISO 8601, null for what is not finite."""
    for row in rows:
        finite = {name: None if _is_not_finite(value) else value for name, value in row.items()}
        out.write(json.dumps(finite, ensure_ascii=False, default=_jsonable) + "\n")


def _is_not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Decimal):  # the type of DuckDB's sums of integers
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return rows


def _write_csv(table: pa.Table, out: TextIO) -> None:
    """Write a table as CSV with a header; nested values as JSON, nulls empty."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.schema.names)
    for row in _plain(table):
        writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> Any:
    nested = isinstance(value, (list, dict))
    return json.dumps(value, ensure_ascii=False, default=_jsonable) if nested else value
