"""Rows that concern clips are taken out of every table of a store.

A part of clips' rows is written anew under another name, without these rows, and committed in place
of the old one, as a compaction does: readers see the one or the other. Registers, records of runs
and facts are small files, which are replaced whole. A table without clips' rows may name a clip in
its texts, as a run's message does: there `FORGOTTEN_NAME` takes its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import chain
from operator import or_
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from emi_model.errors import StoreError
from tasks.forgetting.wanted import NAMED_AS_TYPED, ROWS_OF_CLIPS, WantedClips
from tasks.labels.snapshots import read_snapshots, rewrite_snapshot, without_clips
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.schema.tables import LABELS, LEADING, TABLES
from tasks.storage.open import child
from tasks.store.mirror import local_parts
from tasks.store.paths import Part, PartsChanged
from tasks.store.queries.latest import claims_of
from tasks.store.readers import read_schemas, reread
from tasks.store.store import DamagedPart, ResultsStore

_WITHOUT = "-without-"
"""Stands in the name of a part between that of the part it replaces and the id of a forgetting."""

MAX_PASSES = 20

_IN_PARTS = tuple(table for leading in LEADING for table in (leading, *LEADING[leading]))
_IN_FILES = tuple(table for table in TABLES if table not in (*_IN_PARTS, LABELS))


class _Found(NamedTuple):
    """A part that holds rows to be removed, and how many; 0: it has names alone."""

    part: Part
    num_rows: int


def count_rows(store: ResultsStore, wanted: WantedClips) -> dict[str, int]:
    """Return how many rows of each table are to be removed, of the tables that hold some.

    Raises:
        StoreError: the store cannot be read, or a part of it is damaged.
    """
    counts: Counter[str] = Counter()
    found = [_in_parts(store, leading, wanted) for leading in LEADING]
    for one in chain(*found, _in_files(store, wanted)):
        counts[one.part.table] += one.num_rows
    for link in read_snapshots(store):
        counts[LABELS] += len(link.rows) - len(without_clips(link, wanted.clip_ids).rows)
    return {table: count for table, count in counts.items() if count}


def remove_rows(store: ResultsStore, wanted: WantedClips, forgetting_id: str) -> None:
    """Remove them; a second call goes on where a first one was killed.

    Args:
        store: locked by this process.
        wanted: the clips.
        forgetting_id: new to the store, or that of the call that was killed.

    Raises:
        StoreError: the store cannot be read or written, a part of it is damaged, or other runs
            write to it all the time.
    """
    store.recover()
    for _ in range(MAX_PASSES):  # other processes may merge parts or add metadata meanwhile
        removed = [_remove_from_parts(store, one, wanted, forgetting_id) for one in LEADING]
        if not any([*removed, _remove_from_files(store, wanted)]):
            break
    else:
        raise StoreError(f"{store.location}: others write here all the time: wait, and try again")
    for link in read_snapshots(store):
        left = without_clips(link, wanted.clip_ids, wanted.speakers)
        if left is not link:
            rewrite_snapshot(store, left)


def _remove_from_parts(
    store: ResultsStore, leading: str, wanted: WantedClips, forgetting_id: str
) -> bool:
    """Replace the parts of a table and its companions that hold such rows; False if none does."""
    names = {found.part.name for found in _in_parts(store, leading, wanted)}
    if not names:
        return False
    leaders = store.parts(leading)
    led = {part.name for part in leaders}
    tables = (leading, *LEADING[leading])
    claims = claims_of(read_schemas(store.folder, leaders))
    renamed = {name: _new_name(name, forgetting_id) for name in names}
    for name in sorted(names):
        held = [part for table in tables for part in store.parts(table) if part.name == name]
        if name not in led:  # of a killed run, whose scores will not follow
            store.writer.remove([part.file for part in held])
            continue
        left = {part.table: _without(part.table, _read(store, part), wanted) for part in held}
        apart = _apart_from(name, claims, renamed)
        store.commit(renamed[name], left, replaces=[name], apart_from=apart)
    return True


def _new_name(name: str, forgetting_id: str) -> str:
    return f"{name.partition(_WITHOUT)[0]}{_WITHOUT}{forgetting_id}"


def _apart_from(
    name: str, claims: Mapping[str, set[str]], renamed: Mapping[str, str]
) -> list[str] | None:
    """Return what a part says of itself once it holds less, under its and others' new names.

    Of parts that share no key none does once rows are taken out.
    """
    if name not in claims:
        return None
    others = claims[name] | {other for other, said in claims.items() if name in said}
    return sorted(others | {renamed[other] for other in others if other in renamed})


def _remove_from_files(store: ResultsStore, wanted: WantedClips) -> bool:
    """Replace the files of registers, runs and facts that hold such rows; False if none does."""
    found = _in_files(store, wanted)
    for one in found:
        left = _without(one.part.table, _read(store, one.part), wanted)
        with store.storage_errors():
            store.writer.put(one.part.file, left)
    return bool(found)


def _without(table: str, rows: pa.Table, wanted: WantedClips) -> pa.Table:
    """Return the rows that stay, without these names; the same table if all of it stays."""
    names = rows.schema.names
    if "clip_id" in names:
        known_by = _known_by(table, wanted)
        gone = [_is_one_of(rows[column], values) for column, values in known_by.items()]
        rows = rows.filter(pc.invert(reduce(pc.or_, gone)))
        if "speaker" not in names:
            return rows
        said = _is_one_of(rows["speaker"], wanted.speakers)
        place = names.index("speaker")
        unsaid = pc.if_else(said, pa.scalar(None, pa.string()), rows["speaker"])
        return rows.set_column(place, rows.schema.field(place), unsaid)
    if "speaker" in names:
        gone = _is_one_of(rows["speaker"], wanted.speakers)
        rows = rows.filter(pc.invert(gone)) if pc.any(gone).as_py() else rows
    before = rows.to_pylist()
    after = wanted.spellings.taken_from_value(before)
    return rows if after == before else pa.Table.from_pylist(after, rows.schema)


def _known_by(table: str, wanted: WantedClips) -> dict[str, Iterable[str]]:
    """Return the columns by which a table knows clips, and what they hold for these."""
    if table in NAMED_AS_TYPED:
        of_file = {"uri": wanted.places, "content_sha256": wanted.own_contents}
        return {"clip_id": wanted.clip_ids, **of_file}
    return {"clip_id": wanted.clip_ids}


def _is_one_of(column: pa.ChunkedArray, names: Iterable[str]) -> pa.ChunkedArray:
    return pc.is_in(column, _texts(names))


def _texts(names: Iterable[str]) -> pa.Array:
    return pa.array(sorted(names), pa.string())


def _in_parts(store: ResultsStore, leading: str, wanted: WantedClips) -> list[_Found]:
    """Return the parts of a table and its companions that hold such rows.

    What belongs to a clip's scores stands in the part of the same name: others are not searched,
    but for those that a killed run left.
    """

    def search() -> list[_Found]:
        leaders = store.parts(leading)
        found = _with_names(store, leaders, wanted)
        names = {one.part.name for one in found}
        led = {part.name for part in leaders}
        beside = (part for table in LEADING[leading] for part in store.parts(table))
        beside_these = [part for part in beside if part.name in names or part.name not in led]
        return found + _with_names(store, beside_these, wanted)

    return reread(search)


def _in_files(store: ResultsStore, wanted: WantedClips) -> list[_Found]:
    """Return the files of registers, of runs and facts that concern these clips."""

    def parts(tables: Iterable[str]) -> list[Part]:
        return [part for table in tables for part in store.parts(table)]

    of_clips = [table for table in _IN_FILES if table in ROWS_OF_CLIPS]
    found = reread(lambda: _with_names(store, parts(of_clips), wanted))
    for part in parts(table for table in _IN_FILES if table not in ROWS_OF_CLIPS):
        rows = _read(store, part)
        left = _without(part.table, rows, wanted)
        if left is not rows:
            found.append(_Found(part, rows.num_rows - left.num_rows))
    return found


def _with_names(store: ResultsStore, parts: Sequence[Part], wanted: WantedClips) -> list[_Found]:
    """Return the parts with rows of these clips or speakers, by those columns alone."""
    found = []
    with store.storage_errors(), local_parts(store.folder, parts) as root:
        for part in parts:
            names = {**_known_by(part.table, wanted), "speaker": wanted.speakers}
            columns = [one for one in names if one in TABLE_SCHEMAS[part.table].names]
            concerned = reduce(or_, [ds.field(one).isin(_texts(names[one])) for one in columns])
            try:
                rows = pq.read_table(root / part.file, columns=columns, filters=concerned)
            except FileNotFoundError as error:
                raise PartsChanged(f"{part.file}: was compacted away") from error
            except (OSError, ValueError, pa.ArrowException) as error:
                raise _damaged(store, part) from error
            if rows.num_rows:
                left = _without(part.table, rows, wanted)
                found.append(_Found(part, rows.num_rows - left.num_rows))
    return found


def _read(store: ResultsStore, part: Part) -> pa.Table:
    try:
        return store.read(part)
    except DamagedPart as error:
        raise _damaged(store, part) from error


def _damaged(store: ResultsStore, part: Part) -> StoreError:
    return StoreError(
        f"{child(store.location, part.file)}: is damaged, and may hold what is to be forgotten: "
        "`emi verify --repair` first, then this again"
    )
