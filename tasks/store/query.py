"""Answers to SQL questions over a results store, as CSV, JSON lines or Parquet."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from emi_model.errors import QueryError
from tasks.storage.formats import (
    FORMAT_OF,
    FileFormat,
    encoded,
    plain_rows,
    write_csv,
    write_json_lines,
)
from tasks.storage.open import open_file
from tasks.store.bounds import answer_batches, bounded_answer, interruptible
from tasks.store.queries.clip_views import WITHIN
from tasks.store.readers import query_error, read_whole
from tasks.store.store import open_store
from tasks.store.views import VIEWS, connect, views_read

_Found = TypeVar("_Found")

Ask: TypeAlias = Callable[[str, Mapping[str, pa.Table]], pa.Table]
"""Answers a question to a store that is open, as `answer` does: its SQL, more tables of its own."""


def answer(
    location: str | Path,
    sql: str,
    own: Mapping[str, pa.Table] | None = None,
    *,
    seconds: float | None = None,
) -> pa.Table:
    """Return the answer to one SELECT over a store.

    Args:
        location: of the store.
        sql: the question.
        own: more tables that it may name.
        seconds: that it may take; None for any time.

    Raises:
        StoreError: no store there.
        QueryError: SQL that is wrong, that is no single SELECT, that reaches outside, that takes
            more than `tasks.store.bounds.MEMORY_SHARE`, or longer than it may.
    """
    return ask_together(location, views_read(sql), lambda ask: ask(sql, own or {}), seconds=seconds)


def ask_together(
    location: str | Path,
    views: Collection[str],
    work: Callable[[Ask], _Found],
    *,
    seconds: float | None = None,
) -> _Found:
    """Return what some work makes of answers over one opening of a store, and so one state of it.

    Args:
        location: of the store.
        views: that may be asked, see `tasks.store.views.views_read`.
        work: called with what answers; again if parts were compacted away meanwhile, or if one is
            damaged, which is passed over then. It runs in a thread that Ctrl-C need not wait for.
        seconds: that it may take; None for any time.

    Raises:
        StoreError: no store there.
        QueryError: as `answer`.
    """
    return _opened(location, views, lambda asked: work(partial(_answer, asked)), seconds=seconds)


def stream_answer(
    location: str | Path,
    sql: str,
    take: Callable[[pa.Schema, Iterator[pa.RecordBatch]], _Found],
    own: Mapping[str, pa.Table] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
) -> _Found:
    """Return what is made of the answer to one SELECT, of which only some rows are here at once.

    Args:
        location: of the store.
        sql: the question.
        take: called with the answer's columns and its rows as they are read; again from the
            beginning as the work of `ask_together` is.
        own: more tables that the question may name.
        settings: as `tasks.store.views.connect` takes them.

    Raises:
        StoreError: no store there.
        QueryError: as `answer`, but for the size of the answer.
    """

    def work(connection: duckdb.DuckDBPyConnection) -> _Found:
        try:
            return take(*answer_batches(connection, _asked(connection, sql, own or {})))
        except duckdb.Error as error:
            raise query_error(error, _explained(error)) from error

    return _opened(location, views_read(sql), work, settings=settings)


def _opened(
    location: str | Path,
    views: Collection[str],
    work: Callable[[duckdb.DuckDBPyConnection], _Found],
    *,
    seconds: float | None = None,
    settings: Mapping[str, Any] | None = None,
) -> _Found:
    """Return what some work makes of a store's connection: see `ask_together`, and `connect`."""
    open_store(location)

    def opened(verified: bool, begun: Callable[[duckdb.DuckDBPyConnection], None]) -> _Found:
        with connect(location, views=views, verified=verified, settings=settings) as connection:
            begun(connection)
            return work(connection)

    return read_whole(location, lambda verified: interruptible(partial(opened, verified), seconds))


BINARY = "parquet is binary: send it to a file, `... --format parquet > FILE`"
_OWN_TABLES = (
    "a question reads no files; to join a table of yours: `emi metadata add FILE` keeps it beside "
    "the scores, by clip or speaker, in the view clips; or --with own=FILE for this question alone"
)


def _answer(
    connection: duckdb.DuckDBPyConnection, sql: str, own: Mapping[str, pa.Table]
) -> pa.Table:
    try:
        return bounded_answer(connection, _asked(connection, sql, own))
    except duckdb.Error as error:
        raise query_error(error, _explained(error)) from error


def _asked(connection: duckdb.DuckDBPyConnection, sql: str, own: Mapping[str, pa.Table]) -> str:
    """Make a question a view, and return what reads it.

    Raises:
        QueryError: it is no single SELECT.
        duckdb.Error: it is wrong.
    """
    for name, table in own.items():
        connection.register(name, table)
    statements = connection.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise QueryError(
            f"found {len(statements)} statements, or one that is no SELECT: the store is "
            f"read only: ask one SELECT over {', '.join(VIEWS)}"
        )
    # A view can only read: a SELECT may hold WITH x AS (COPY ... TO ...), a view not.
    # On a line of its own, DuckDB's errors quote it as it was asked.
    connection.execute(f"CREATE OR REPLACE VIEW {WITHIN}.answer AS\n{statements[0].query}")
    return f"FROM {WITHIN}.answer"


def _explained(error: duckdb.Error) -> str:
    """Return DuckDB's words: what is wrong, what may be meant, and the place below its line."""
    first, *others = str(error).strip().splitlines()
    meant = [line for line in others if line.startswith(("Did you mean", "Candidate"))]
    place = next((n for n, line in enumerate(others) if line.startswith("LINE ")), len(others))
    # a view's text has a line before the question's; what is no SQL at all never becomes a view
    before = not isinstance(error, duckdb.ParserException)
    quoted = [
        re.sub(r"^LINE (\d+):", lambda line: f"LINE {int(line[1]) - before}:", line)
        for line in others[place : place + 2]
    ]
    hint = [_OWN_TABLES] if isinstance(error, duckdb.PermissionException) else []
    return "\n".join([first, *meant, *quoted, *hint])


def stored_question_names() -> list[str]:
    """Return the names of all ready questions, ``tasks/store/questions/*/NAME.sql``, sorted."""
    return sorted(_question_files())


def stored_question(name: str) -> str:
    """Return the text of one ready question."""
    return _question_files()[name].read_text(encoding="utf-8")


def _question_files() -> dict[str, Traversable]:
    folders = [one for one in resources.files("tasks.store.questions").iterdir() if one.is_dir()]
    files = [file for folder in folders for file in folder.iterdir() if file.name.endswith(".sql")]
    return {file.name.removesuffix(".sql"): file for file in files}


def write(table: pa.Table, wanted: FileFormat) -> None:
    """Write a table to standard output.

    Raises:
        QueryError: Parquet, and standard output is a terminal.
    """
    if wanted == "csv":
        write_csv(table, sys.stdout)
    elif wanted == "excel":
        sys.stdout.buffer.write(encoded(table, wanted))
    elif wanted == "json":
        write_json_lines(plain_rows(table), sys.stdout)
    elif sys.stdout.isatty():
        raise QueryError(BINARY)
    else:
        pq.write_table(table, sys.stdout.buffer)
    sys.stdout.flush()


def write_file(
    table: pa.Table, reference: str, wanted: FileFormat | Literal["table"] | None = None
) -> None:
    """Write a table to a file, on a disk or in a bucket, so that it is either absent or complete.

    Args:
        table: any.
        reference: of the file.
        wanted: its format; default that of its suffix.

    Raises:
        QueryError: no format for a file, or the file cannot be written.
    """
    form = file_format(reference, wanted)
    try:
        folder, name = open_file(reference)
        folder.write(name, encoded(table, form))
    except OSError as error:
        raise QueryError(f"{reference}: cannot be written: {error}") from error


def file_format(reference: str, wanted: FileFormat | Literal["table"] | None = None) -> FileFormat:
    """Return the format of a file: the wanted one, or that of its suffix.

    Raises:
        QueryError: there is none.
    """
    form = wanted or FORMAT_OF.get(Path(reference).suffix.lower())
    if form is None or form == "table":
        raise QueryError(
            f"{reference}: no format for a file, expected a suffix {', '.join(FORMAT_OF)}, or "
            "--format csv, json or parquet"
        )
    return form
