"""Compaction: many small parts, and rows that later rows replaced, become one part."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from tasks.layout import EMPTY_PART, PartsChanged, parts_of
from tasks.readers import read_schemas
from tasks.results import ResultsStore
from tasks.schemas import COMPANIONS, SCORES
from tasks.views import connect, current_view

SMALL_PART_BYTES = 64 * 2**20
MANY_SMALL_PARTS = 16
MERGED = (SCORES, *COMPANIONS)


def compact(store: ResultsStore, name: str, *, superseded: bool = False) -> bool:
    """Merge a store's small parts into one where it is worth it; True if it did.

    The merged part is committed like any other and names the parts that it replaces: whoever reads
    through the views sees every row once at every moment. It holds the latest of the rows that
    these parts have of a clip, whatever stands in others: so where several runs do this at once, in
    a bucket, the latest row of all is always in a part that stays.

    Args:
        store: locked by this process.
        name: of the merged part, new to the store.
        superseded: rows were replaced by later ones: merge in any case, and leave those out.
    """
    small = [part for part in store.parts(SCORES) if part.size < SMALL_PART_BYTES]
    if len(small) < 2 or (len(small) < MANY_SMALL_PARTS and not superseded):
        return False
    names = [part.name for part in small]
    try:
        tables = _merged(store, names)
    except PartsChanged:  # another run has merged them
        return False
    store.commit(name, tables, replaces=names)
    return True


def _merged(store: ResultsStore, names: Sequence[str]) -> dict[str, pa.Table]:
    """Return the rows of the named parts that still count, under the union of their schemas.

    Raises:
        PartsChanged: some of them were taken away.
    """
    with connect(store.location, tables=MERGED, parts=names) as connection:
        return {table: _rows(connection, table, _union(store, table, names)) for table in MERGED}


def _rows(connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema) -> pa.Table:
    rows = connection.sql(f"FROM {current_view(table)}").to_arrow_table()
    return rows.select(schema.names).cast(schema)


def _union(store: ResultsStore, table: str, names: Sequence[str]) -> pa.Schema:
    wanted = {EMPTY_PART, *names}
    parts = [part for part in parts_of(store.folder, table) if part.name in wanted]
    schemas = [schema.remove_metadata() for schema in read_schemas(store.folder, parts)]
    return pa.unify_schemas(schemas, promote_options="permissive")
