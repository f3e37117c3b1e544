"""Compaction: many small parts, and rows that later rows replaced, become one part."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.results import EMPTY_PART, ResultsStore
from tasks.schemas import COMPANIONS, SCORES
from tasks.views import connect, current_view

SMALL_PART_BYTES = 64 * 2**20
MANY_SMALL_PARTS = 16


def compact(store: ResultsStore, name: str, *, superseded: bool = False) -> bool:
    """Merge a store's small parts into one where it is worth it; True if it did.

    The merged part is committed like any other and names the parts that it replaces: whoever reads
    through the views sees every row once at every moment.

    Args:
        store: locked by this process.
        name: of the merged part, new to the store.
        superseded: rows were replaced by later ones: merge in any case, and leave those out.
    """
    small = [part for part in store.parts(SCORES) if part.stat().st_size < SMALL_PART_BYTES]
    if len(small) < 2 or (len(small) < MANY_SMALL_PARTS and not superseded):
        return False
    names = [part.stem for part in small]
    tables = {table: _merged(store, table, names) for table in (SCORES, *COMPANIONS)}
    store.commit(name, tables, replaces=names)
    return True


def _merged(store: ResultsStore, table: str, names: list[str]) -> pa.Table:
    """Return the rows of the named parts that still count, under the union of their schemas."""
    schema = _union(store.root / table, names)
    with connect(store.root) as connection:
        rows = connection.sql(
            f"SELECT * FROM {current_view(table)} WHERE list_contains($names, part)",
            params={"names": names},
        ).to_arrow_table()
    return rows.select(schema.names).cast(schema)


def _union(folder: Path, names: list[str]) -> pa.Schema:
    files = [folder / f"{name}.parquet" for name in (EMPTY_PART, *names)]
    schemas = [pq.read_schema(file).remove_metadata() for file in files if file.exists()]
    return pa.unify_schemas(schemas, promote_options="permissive")
