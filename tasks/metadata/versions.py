"""Versions of metadata: immutable files, of which each holds the whole table as of then.

    clip_metadata/000001.parquet       what the first file said of clips
    clip_metadata/000002.parquet       that, with what the second one added or corrected

Of several processes at once one gets a number, on a disk as in a bucket; the others add theirs to
what it has written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.labels.label_columns import SPEAKER
from tasks.metadata.metadata_file import MetadataKey
from tasks.schema.fields import checked, described
from tasks.schema.metadata import (
    ADDED_COLUMNS,
    CLIP_ID,
    clip_metadata_schema,
    speaker_metadata_schema,
)
from tasks.schema.tables import CLIP_METADATA, SPEAKER_METADATA
from tasks.store.store import ResultsStore, open_store

TABLE_OF: Mapping[MetadataKey, str] = {"clip_id": CLIP_METADATA, "speaker": SPEAKER_METADATA}

_BASE = (CLIP_ID, SPEAKER, *ADDED_COLUMNS)


def newest_version(store: ResultsStore, key: MetadataKey) -> tuple[int, pa.Table | None]:
    """Return the number of the newest version, 0 if there is none, and its table.

    Raises:
        DamagedPart: it cannot be read as it was written.
    """
    parts = store.parts(TABLE_OF[key])
    return (len(parts), store.read(parts[-1])) if parts else (0, None)


def versions(store: ResultsStore, key: MetadataKey) -> list[dict[str, Any]]:
    """Return a row a version: its number, table, rows, own columns, file and time."""
    found = []
    for part in store.parts(TABLE_OF[key]):
        table = store.read(part)
        told = table.select(list(ADDED_COLUMNS)).slice(0, 1).to_pylist()
        found.append(
            {
                "of": "clips" if key == CLIP_ID else "speakers",
                **(told[0] if told else {"number": int(part.name)}),
                "num_rows": table.num_rows,
                "columns": own_columns(table),
            }
        )
    return found


def all_metadata_versions(location: str | Path) -> list[dict[str, Any]]:
    """Return `versions` of clips, then of speakers.

    Raises:
        StoreError: no store there, or a version is damaged.
    """
    store = open_store(location)
    return [row for key in TABLE_OF for row in versions(store, key)]


def own_columns(table: pa.Table | None) -> list[str]:
    """Return the columns of the study; ``speaker`` of clips if any clip has one."""
    if table is None:
        return []
    own = [name for name in table.schema.names if name not in _BASE]
    names_speakers = CLIP_ID in table.schema.names and (table[SPEAKER].null_count < table.num_rows)
    return [SPEAKER, *own] if names_speakers else own


def merged_table(
    old: pa.Table | None, key: MetadataKey, names: Sequence[str], columns: Mapping[str, pa.Array]
) -> pa.Table:
    """Return the table with what a file says in place of what was known.

    A column of the file counts for the rows of the file, also where a cell is empty; other columns
    and other rows stay as they were.

    Args:
        old: the newest version; None before the first.
        key: what the rows are of.
        names: the rows' clips or speakers, each once.
        columns: the file's values.
    """
    known = [] if old is None else old[key].to_pylist()
    place = {name: number for number, name in enumerate(names)}
    seen = set(known)
    every = [*known, *(name for name in names if name not in seen)]
    given = pa.array([place.get(name) for name in every], pa.int64())
    kept = pa.array([n if n < len(known) else None for n in range(len(every))], pa.int64())
    before = (
        {}
        if old is None
        else {
            name: old[name].combine_chunks().take(kept)
            for name in old.schema.names
            if name not in (key, *ADDED_COLUMNS)
        }
    )
    after = {name: values.take(given) for name, values in columns.items()}
    found = {key: pa.array(every, pa.string())}
    for name in dict.fromkeys([*before, *after]):
        if name in before and name in after:
            kind = _common(before[name].type, after[name].type)
            new, earlier = after[name].cast(kind), before[name].cast(kind)
            found[name] = pc.if_else(pc.is_valid(given), new, earlier)
        else:
            found[name] = before[name] if name in before else after[name]
    return pa.table(found)


def write_version(
    store: ResultsStore,
    key: MetadataKey,
    number: int,
    table: pa.Table,
    file: str,
    added_at: datetime,
) -> bool:
    """Add a version; False if another process has added one of this number.

    Args:
        store: any.
        key: what the rows are of.
        number: of the version, counted up.
        table: `merged_table`.
        file: name of the file that was added.
        added_at: when.

    Raises:
        StoreError: the store does not take it.
    """
    own = [
        described(field.name, field.type, "", "column of the study")
        for field in table.schema
        if field.name not in _BASE
    ]
    schema = clip_metadata_schema(own) if key == CLIP_ID else speaker_metadata_schema(own)
    ordered = table.sort_by(key)
    constants = {"number": number, "added_at": added_at.astimezone(UTC), "file": file}
    if key == CLIP_ID and SPEAKER not in ordered.schema.names:
        ordered = ordered.append_column(SPEAKER, pa.nulls(ordered.num_rows, pa.string()))
    for name, value in constants.items():
        kind = schema.field(name).type
        ordered = ordered.append_column(name, pa.repeat(pa.scalar(value, kind), ordered.num_rows))
    whole = checked(ordered.select(schema.names), schema)
    return store.claim(TABLE_OF[key], f"{number:06d}", whole)


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type of a column that has had values of both."""
    if one == other:
        return one
    kinds = {str(one), str(other)}
    return pa.float64() if kinds <= {"int64", "double"} else pa.string()
