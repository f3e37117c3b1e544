"""Bounds of a question to a store: how much memory it takes, and that Ctrl-C ends it."""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from emi_model.errors import QueryError

MEMORY_SHARE = 0.25
"""Of this machine's or container's memory: what a question takes, and as much for its answer."""

BATCH_ROWS = 100_000
ENDING_SECONDS = 0.5
"""How long an interrupted question may take to end; it is left behind after that."""

_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_POLL_SECONDS = 0.2
_DUCKDBS_WORDS = re.compile(r"[A-Z][\w ]* Error: ")

_Answer = TypeVar("_Answer")
_Begun = Callable[[duckdb.DuckDBPyConnection], None]


def machine_bytes() -> int:
    """Return the memory of this machine, or of the container that this process is in."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _GROUP_LIMITS:
        with suppress(OSError, ValueError):  # ValueError: "max"
            sizes.append(int(Path(path).read_text(encoding="ascii")))
    return min(sizes)


def memory_limit() -> dict[str, Any]:
    """Return DuckDB's setting that bounds what a question takes."""
    return {"memory_limit": f"{max_bytes()}B"}


class TakesTooMuch(QueryError):
    """A question, or its answer, takes more memory than it may."""


def answer_batches(
    connection: duckdb.DuckDBPyConnection, sql: str
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return the columns of an answer, and its rows as they are read, `BATCH_ROWS` at a time.

    Raises:
        TakesTooMuch: the question takes more than the connection's limit; also while rows are read.
        duckdb.Error: the question is wrong; likewise.
    """
    with _errors():
        reader = connection.sql(sql).to_arrow_reader(BATCH_ROWS)
    return reader.schema, _batches(reader)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    with _errors():
        yield from reader


def bounded_answer(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Return the answer to a question, unless it takes more than its share of memory.

    Raises:
        TakesTooMuch: it takes more.
        duckdb.Error: the question is wrong.
    """
    schema, batches = answer_batches(connection, sql)
    kept, size = [], 0
    for batch in batches:
        kept.append(batch)
        size += batch.nbytes
        if size > max_bytes():
            raise TakesTooMuch(_too_large("the answer"))
    return pa.Table.from_batches(kept, schema)


@contextmanager
def _errors() -> Iterator[None]:
    """Raise DuckDB's errors as its own, also those that come by way of Arrow."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise TakesTooMuch(_too_large("the question")) from error
    except OSError as error:
        if "Out of Memory Error" in str(error):
            raise TakesTooMuch(_too_large("the question")) from error
        kind = duckdb.DataError if _DUCKDBS_WORDS.match(str(error)) else duckdb.Error
        raise kind(str(error)) from error


def interruptible(work: Callable[[_Begun], _Answer], seconds: float | None = None) -> _Answer:
    """Return what ``work`` returns; Ctrl-C ends it at once, which DuckDB by itself does not see.

    Args:
        work: called in another thread, with a function that takes the connection it asks.
        seconds: that it may take; None for any time.

    Raises:
        QueryError: it takes longer.
    """
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    connections: list[duckdb.DuckDBPyConnection] = []
    outcome: Future[_Answer] = Future()
    ended = threading.Event()

    def begun(connection: duckdb.DuckDBPyConnection) -> None:
        connections.append(connection)
        if ended.is_set():
            raise QueryError("the question was ended before it began")

    def run() -> None:
        try:
            outcome.set_result(work(begun))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            outcome.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            if time.monotonic() > deadline:
                raise QueryError(
                    f"the question takes more than {seconds:.0f} s: ask for fewer clips, or ask it "
                    "by `emi query`, which waits"
                )
    except BaseException:
        ended.set()
        ending = threading.Thread(target=_interrupt, args=(connections, thread), daemon=True)
        ending.start()
        ending.join(ENDING_SECONDS)
        raise
    return outcome.result()


def _interrupt(connections: list[duckdb.DuckDBPyConnection], thread: threading.Thread) -> None:
    """Interrupt until a thread ends: an interrupt before the question begins has no effect."""
    while thread.is_alive():
        for connection in connections:
            with suppress(duckdb.Error):  # it is closed by now
                connection.interrupt()
        thread.join(_POLL_SECONDS / 4)


def max_bytes() -> int:
    """Return what a question may take of this machine's memory, and its answer once more."""
    return int(machine_bytes() * MEMORY_SHARE)


def _too_large(what: str) -> str:
    return (
        f"{what} takes more than {max_bytes() / 2**30:.1f} GiB, {MEMORY_SHARE:.0%} of this "
        "machine's memory: ask for fewer columns or rows, or aggregate"
    )
