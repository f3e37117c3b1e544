"""Compaction: merges many parts into few large sorted ones, without rows that were replaced."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import duckdb
import pyarrow as pa

from emi_model.errors import StoreError
from tasks.schema.tables import LEADING, SCORES
from tasks.storage.parquet_files import Content
from tasks.store.damage import damaged_parts
from tasks.store.mirror import local_parts
from tasks.store.paths import EMPTY_PART, Part, PartsChanged, parts_of
from tasks.store.queries.clip_views import current_view, every_view
from tasks.store.queries.latest import claims_of, parts_that_meet, sorted_parts
from tasks.store.queries.merged import KeyRange, divided, key_ranges, sorted_rows
from tasks.store.queries.quoting import path_pattern, text_list
from tasks.store.readers import read_schemas
from tasks.store.store import ResultsStore
from tasks.store.views import connect, first_line

PART_BYTES = 192 * 2**20
"""Of the parts that become one merged part: sorted, the same rows take somewhat less."""

SMALL_PART_BYTES = PART_BYTES // 3
"""Smaller parts are merged after a run."""

MANY_SMALL_PARTS = 16

LOOSE_SHARE = 0.5
"""Share of a table's bytes in parts that may replace rows of others, above which all is merged."""

MEMORY_BYTES = 2**30
"""Of DuckDB while it sorts; the rest it keeps in files."""


def compact(
    store: ResultsStore,
    name: str,
    *,
    superseded: bool = False,
    whole: bool = False,
    leading: str = SCORES,
) -> bool:
    """Merge small parts of a table where it is worth it, or all; True if it did.

    Merged parts are committed like any other, one after another, and the last names the parts that
    they replace: the views show every row once at every moment. Of each clip they hold the latest
    row of these parts, whether or not other parts have a later one: so where several runs compact a
    bucket at once, the latest row of all is always in a part that stays.

    Args:
        store: locked by this process.
        name: of the merged parts, to which a number is added; new to the store.
        superseded: rows were replaced by later ones: merge in any case, and leave those out.
        whole: merge all parts, unless they already are few, sorted and apart from each other.
        leading: the table; its companions are merged with it.

    Raises:
        StoreError: the disk is full, or a part cannot be read or written for another reason.
    """
    merged = (leading, *LEADING[leading])
    try:
        parts = _worth_merging(store, leading, superseded=superseded, whole=whole)
        damaged = _damaged(store, merged, {part.name for part in parts})
        group = [part for part in parts if part.name not in damaged]
        if len(group) < (1 if whole else 2):
            return False
        _merge(store, name, leading, group)
    except PartsChanged:  # another run has merged them
        return False
    except (duckdb.Error, pa.ArrowException) as error:
        raise StoreError(
            f"{store.location}: parts could not be merged ({first_line(error)}): the store is as "
            "it was; `emi verify` finds damaged parts"
        ) from error
    return True


def _worth_merging(
    store: ResultsStore, leading: str, *, superseded: bool, whole: bool
) -> list[Part]:
    parts = store.parts(leading)
    small = [part for part in parts if part.size < SMALL_PART_BYTES]
    if len(small) < MANY_SMALL_PARTS and not superseded and not whole:
        return []
    claims = claims_of(read_schemas(store.folder, parts))
    loose = sum(part.size for part in sorted_parts(parts, claims).loose)
    if whole:
        return parts if loose or len(small) > 1 else []
    num_bytes = sum(part.size for part in parts)
    is_large = num_bytes > PART_BYTES
    return parts if is_large and loose > LOOSE_SHARE * num_bytes else small


def _damaged(store: ResultsStore, merged: Sequence[str], names: Collection[str]) -> set[str]:
    """Return which of some parts are damaged in any table: merged, their damage would be hidden."""
    parts = [part for table in merged for part in store.parts(table) if part.name in names]
    return {found.part.name for found in damaged_parts(store.folder, parts, whole=True)}


def _merge(store: ResultsStore, name: str, leading: str, group: Sequence[Part]) -> None:
    """Commit the rows of some parts that still count, sorted, in parts of about `PART_BYTES`.

    Raises:
        PartsChanged: another compaction removed some of them before they could be read.
    """
    names = [part.name for part in group]
    others = _parts_apart_from(store, leading, group)
    schemas = {table: _union(store, table, names) for table in (leading, *LEADING[leading])}
    number = max(1, round(sum(part.size for part in group) / PART_BYTES))
    with (
        store.writer.scratch() as scratch,
        connect(
            store.location,
            views=[current_view(leading), *map(every_view, LEADING[leading])],
            parts=names,
            settings={"memory_limit": f"{MEMORY_BYTES}B", "temp_directory": str(scratch)},
        ) as connection,
    ):
        groups = divided(key_ranges(connection, leading, number), number)
        new = [f"{name}-{place:05d}" for place in range(len(groups))]
        for part, ranges in zip(new, groups, strict=True):
            store.commit(
                part,
                _merged(connection, leading, ranges, schemas),
                replaces=names if part == new[-1] else None,
                apart_from=[*others, *(one for one in new if one != part)],
            )


def _merged(
    connection: duckdb.DuckDBPyConnection,
    leading: str,
    ranges: Sequence[KeyRange],
    schemas: Mapping[str, pa.Schema],
) -> dict[str, Content]:
    """Return the rows of one merged part, which are read while they are written."""
    found = {
        table: sorted_rows(connection, table, leading, ranges, schema)
        for table, schema in schemas.items()
    }
    return {
        table: schemas[table].empty_table() if rows is None else rows
        for table, rows in found.items()
    }


def _parts_apart_from(store: ResultsStore, leading: str, group: Sequence[Part]) -> list[str]:
    """Return the names of a table's other parts that hold none of the keys of these parts.

    Of a damaged part nothing is known.

    Raises:
        PartsChanged: another compaction removed some of them.
    """
    others = [part for part in store.parts(leading) if part not in set(group)]
    try:
        return _without_their_keys(store, leading, group, others)
    except duckdb.Error:
        damaged = _damaged(store, (leading,), {part.name for part in others})
        left = [part for part in others if part.name not in damaged]
        if len(left) == len(others):
            raise
        return _without_their_keys(store, leading, group, left)


def _without_their_keys(
    store: ResultsStore, leading: str, group: Sequence[Part], others: Sequence[Part]
) -> list[str]:
    if not others:
        return []
    with local_parts(store.folder, [*group, *others]) as root:
        these, those = (
            text_list(path_pattern(str(root / part.file)) for part in parts)
            for parts in (group, others)
        )
        met = parts_that_meet(leading, these, those)
    return [part.name for part in others if part.name not in met]


def _union(store: ResultsStore, table: str, names: Sequence[str]) -> pa.Schema:
    wanted = {EMPTY_PART, *names}
    parts = [part for part in parts_of(store.folder, table) if part.name in wanted]
    found = read_schemas(store.folder, parts).values()
    schemas = [schema.remove_metadata() for schema in found]
    return pa.unify_schemas(schemas, promote_options="permissive")
