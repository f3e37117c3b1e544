"""Compaction: merges many small parts into few large ones, without rows that were replaced."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import duckdb
import pyarrow as pa

from tasks.schema.tables import LEADING, SCORES
from tasks.store.damage import damaged_parts
from tasks.store.paths import EMPTY_PART, Part, PartsChanged, parts_of
from tasks.store.queries.clip_views import current_view
from tasks.store.readers import read_schemas
from tasks.store.store import ResultsStore
from tasks.store.views import connect

SMALL_PART_BYTES = 8 * 2**20
"""Smaller parts are merged, into parts of about this size: 35,000 clips, 0.1 GB of memory."""

MANY_SMALL_PARTS = 16


def compact(
    store: ResultsStore, name: str, *, superseded: bool = False, leading: str = SCORES
) -> bool:
    """Merge small parts of a table, some at a time, where it is worth it; True if it did.

    A merged part is committed like any other and names the parts that it replaces: the views show
    every row once at every moment. Of each clip it holds the latest row of these parts, whether or
    not other parts have a later one: so where several runs compact a bucket at once, the latest row
    of all is always in a part that stays.

    Args:
        store: locked by this process.
        name: of the merged parts, to which a number is added; new to the store.
        superseded: rows were replaced by later ones: merge in any case, and leave those out.
        leading: the table; its companions are merged with it.
    """
    merged = (leading, *LEADING[leading])
    small = [part for part in store.parts(leading) if part.size < SMALL_PART_BYTES]
    if len(small) < MANY_SMALL_PARTS and not superseded:
        return False
    damaged = _damaged(store, merged, {part.name for part in small})
    small = [part for part in small if part.name not in damaged]
    groups = [group for group in _grouped(small) if len(group) > 1]
    for number, group in enumerate(groups):
        try:
            tables = _merged(store, merged, group)
        except PartsChanged:  # another run has merged them
            return False
        store.commit(f"{name}-{number:05d}", tables, replaces=group)
    return bool(groups)


def _damaged(store: ResultsStore, merged: Sequence[str], names: Collection[str]) -> set[str]:
    """Return which of some parts are damaged in any table: merged, their damage would be hidden."""
    parts = [part for table in merged for part in store.parts(table) if part.name in names]
    try:
        return {found.part.name for found in damaged_parts(store.folder, parts, whole=True)}
    except PartsChanged:  # another run has merged them
        return set(names)


def _grouped(parts: Sequence[Part]) -> list[list[str]]:
    """Return the names of parts, in their order, in groups that make a part that is not small."""
    groups: list[list[str]] = []
    size = SMALL_PART_BYTES
    for part in parts:
        if size >= SMALL_PART_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(part.name)
        size += part.size
    return groups


def _merged(
    store: ResultsStore, merged: Sequence[str], names: Sequence[str]
) -> dict[str, pa.Table]:
    """Return the rows of the named parts that still count, under the union of their schemas.

    Raises:
        PartsChanged: another compaction removed some of them.
    """
    with connect(store.location, views=[*map(current_view, merged)], parts=names) as connection:
        return {table: _rows(connection, table, _union(store, table, names)) for table in merged}


def _rows(connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema) -> pa.Table:
    rows = connection.sql(f"FROM {current_view(table)}").to_arrow_table()
    return rows.select(schema.names).cast(schema)


def _union(store: ResultsStore, table: str, names: Sequence[str]) -> pa.Schema:
    wanted = {EMPTY_PART, *names}
    parts = [part for part in parts_of(store.folder, table) if part.name in wanted]
    schemas = [schema.remove_metadata() for schema in read_schemas(store.folder, parts)]
    return pa.unify_schemas(schemas, promote_options="permissive")
