"""Answers that are written as they are read, to a file or to standard output.

They need not fit into memory. They are written aside first, so that the output is absent or
complete, whatever happens to the store meanwhile.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from emi_model.errors import QueryError
from tasks.storage.formats import FileFormat, write_tables
from tasks.storage.local import is_special, place
from tasks.storage.open import is_remote, local_path, open_file
from tasks.store.bounds import TakesTooMuch, max_bytes
from tasks.store.query import BINARY, stream_answer

SORTING_BYTES = 2**30
"""Of what a question sorts, so much is in memory; the rest is on the disk meanwhile."""


def write_answer(
    location: str | Path,
    sql: str,
    wanted: FileFormat,
    reference: str | None = None,
    own: Mapping[str, pa.Table] | None = None,
) -> None:
    """Write the answer to one SELECT over a store.

    Args:
        location: of the store.
        sql: the question.
        wanted: the format.
        reference: of a file, on a disk or in a bucket; None: standard output.
        own: more tables that the question may name.

    Raises:
        StoreError: no store there.
        QueryError: as `tasks.store.query.stream_answer`, or the answer cannot be written.
    """
    if reference is None and wanted == "parquet" and sys.stdout.isatty():
        raise QueryError(BINARY)
    final = None
    if reference is not None and not is_remote(reference):
        final = local_path(reference).resolve()  # a link stays, what it leads to is replaced
    try:
        beside = None
        if final is not None and not is_special(final):
            beside = final.parent
            beside.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(
            prefix=".answer-", dir=beside, ignore_cleanup_errors=True
        ) as folder:
            aside = Path(folder, "answer")
            plain = reference is None and wanted != "excel"
            text: dict[str, Any] = _text_of_stdout() if plain else {}
            _write_aside(location, sql, aside, partial(write_tables, wanted=wanted, **text), own)
            _place(aside, final, reference)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise QueryError(f"{reference or 'standard output'}: cannot be written: {error}") from error


def _write_aside(
    location: str | Path,
    sql: str,
    aside: Path,
    write: partial[None],
    own: Mapping[str, pa.Table] | None,
) -> None:
    """Write the answer to a file, with little memory; with more where a question needs it.

    A sort can do with little, the middles of many values cannot.
    """

    def take(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        with aside.open("wb") as file:
            write(schema, (pa.Table.from_batches([batch]) for batch in batches), file)
            file.flush()
            os.fsync(file.fileno())

    spilling: dict[str, Any] = {"temp_directory": str(aside.parent)}
    little = min(SORTING_BYTES, max_bytes())
    try:
        settings = spilling | {"memory_limit": f"{little}B"}
        stream_answer(location, sql, take, own, settings=settings)
    except TakesTooMuch:
        if little == max_bytes():
            raise
        stream_answer(location, sql, take, own, settings=spilling)


def _text_of_stdout() -> dict[str, Any]:
    """Return how standard output writes text."""
    return {"encoding": sys.stdout.encoding, "errors": sys.stdout.errors or "strict"}


def _place(aside: Path, final: Path | None, reference: str | None) -> None:
    """Give what was written to the file, to the bucket, or to standard output."""
    if final is not None and is_special(final):
        with aside.open("rb") as file, final.open("wb") as out:
            shutil.copyfileobj(file, out)
    elif final is not None:
        place(aside, final)
    elif reference is not None:
        from tasks.storage.buckets import BucketFolder  # answers to a disk never load the client

        folder, name = open_file(reference)
        assert isinstance(folder, BucketFolder), "a remote place is a bucket"
        folder.send(name, aside)
    else:
        sys.stdout.flush()
        with aside.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()
