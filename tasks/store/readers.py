"""Parts of a store as Arrow reads them, from a disk or from a bucket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from emi_model.errors import QueryError, StoreError
from tasks.storage.folder import Folder
from tasks.storage.open import open_folder
from tasks.store.damage import without_damaged
from tasks.store.mirror import local_parts
from tasks.store.paths import MARKER_FILE, Part, PartsChanged

MAX_REREADS = 5
READS_AT_ONCE = 16

Found = TypeVar("Found")


def reread(read: Callable[[], Found]) -> Found:
    """Return what ``read`` returns; call it again if a compaction removed what it was reading."""
    for _ in range(MAX_REREADS - 1):
        try:
            return read()
        except PartsChanged:
            continue
    return read()


class MayBeDamage(QueryError):
    """DuckDB could not read a part, of which it need not say the name."""


def query_error(error: duckdb.Error, text: str) -> QueryError:
    """Return what to raise for an error of DuckDB: `MayBeDamage` if it may be about a part.

    Args:
        error: DuckDB's.
        text: the message.
    """
    # of a page that it cannot decode DuckDB says no more than "Error"
    is_reading = type(error) is duckdb.Error or "Failed to read file" in str(error)
    return (MayBeDamage if is_reading else QueryError)(text)


def read_whole(location: str | Path, read: Callable[[bool], Found]) -> Found:
    """Return what some work on an opened store returns, whatever happens to parts meanwhile.

    Args:
        location: of the store.
        read: opens the store and works on it; called with whether to look for damaged parts first,
            and pass over them: it is, once it raised `MayBeDamage`.

    Raises:
        StoreError: the store cannot be read.
    """
    try:
        try:
            return reread(lambda: read(False))
        except MayBeDamage:
            return reread(lambda: read(True))
    except OSError as error:
        raise StoreError(f"{location}: cannot be read: {error}") from error


def holds_store(location: str | Path) -> bool:
    """Return whether there is a results store.

    Raises:
        StoreError: the bucket cannot be read.
    """
    try:
        return open_folder(str(location)).exists(MARKER_FILE)
    except OSError as error:
        raise StoreError(f"{location}: cannot be read: {error}") from error


def read_all(folder: Folder, parts: Sequence[Part]) -> list[bytes]:
    """Return parts as they were written, in their order."""
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        return list(pool.map(folder.read, [part.file for part in parts]))


def read_rows(
    folder: Folder,
    parts: Sequence[Part],
    schema: pa.Schema,
    wanted: ds.Expression,
    columns: list[str] | None = None,
) -> pa.Table:
    """Return the wanted rows of some parts; damaged parts are passed over, and named.

    Args:
        folder: of the store.
        parts: some of one table.
        schema: of the rows; a column that a part lacks is null.
        wanted: which rows.
        columns: default all.

    Raises:
        PartsChanged: a compaction removed a part meanwhile; only in a bucket.
    """
    with local_parts(folder, parts) as root:

        def read(whole: Sequence[Part]) -> pa.Table:
            found = ds.dataset([str(root / part.file) for part in whole], schema=schema)
            return found.to_table(columns=columns, filter=wanted)

        return _tolerant(read, folder, parts)


def read_schemas(folder: Folder, parts: Sequence[Part]) -> dict[Part, pa.Schema]:
    """Return the schemas by part; damaged parts are passed over, and named.

    Raises:
        PartsChanged: a compaction removed a part meanwhile; only in a bucket.
    """
    with local_parts(folder, parts) as root:
        return _tolerant(
            lambda whole: {part: pq.read_schema(root / part.file) for part in whole}, folder, parts
        )


def _tolerant(
    read: Callable[[Sequence[Part]], Found], folder: Folder, parts: Sequence[Part]
) -> Found:
    """Return what ``read`` returns; of the parts that are not damaged if that fails."""
    try:
        return read(parts)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException):
        left = without_damaged(folder, parts, whole=True)
        if len(left) == len(parts):
            raise
        return read(left)
