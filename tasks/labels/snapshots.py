"""Label snapshots: immutable files, each with the rows that it added and the name of its parent.

    labels/000001-1f0c....parquet     the first rows
    labels/000002-9ab3....parquet     rows that were added or corrected later

In a bucket a file's name is its number alone: of two processes at once, one gets the name.

A snapshot's id is the hash of its content: of its targets, its parent and its rows. It does not
depend on time, so the same files added in the same order have the same ids everywhere. A file of
which rows were forgotten keeps its id, which models name, beside the hash of what is left.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emi_model.arrays import Floats
from emi_model.errors import StoreError
from emi_model.targets import VAD_DIMENSIONS, column_name
from tasks.labels.label_columns import NUM_RATERS
from tasks.schema.fields import checked
from tasks.schema.registers import labels_schema
from tasks.schema.tables import LABELS
from tasks.storage.open import child, is_remote
from tasks.store.paths import file_name
from tasks.store.store import ResultsStore

_NAME_CHARS = 16


@dataclass(frozen=True, eq=False)
class LabelledRow:
    """A clip and its labels.

    Attributes:
        clip_id: its path below the corpus root.
        content_sha256: hash of its file when it was labelled, hex.
        emi: (targets,) in [0, 1]; NaN where nobody rated it.
        vad: (3,) arousal, dominance, valence in [0, 1], NaN as in ``emi``; None if nobody rated any
            of them.
        speaker: who speaks; empty if unknown.
        split: ``train``, ``valid`` or ``test``.
        num_raters: how many raters its labels are shares of; None if unknown.
    """

    clip_id: str
    content_sha256: str
    emi: Floats
    vad: Floats | None
    speaker: str
    split: str
    num_raters: float | None = None

    def content(self) -> list[Any]:
        """Return all of it in plain types: two rows are the same if this is."""
        vad = None if self.vad is None else _values(self.vad)
        texts = [self.clip_id, self.content_sha256, self.speaker, self.split]
        raters = [] if self.num_raters is None else [self.num_raters]  # later: hashes stay
        return [*texts, _values(self.emi), vad, *raters]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One file of the chain.

    Attributes:
        number: its place in the chain, from 1.
        snapshot: its id, SHA-256 in hex.
        parent: id of the snapshot before it; None in the first.
        targets: as spelled, in the order of the values.
        rows: those that it added or corrected, sorted by clip id.
        added_at: when it was made.
        file: name of the label file that the rows came in.
        seed: of the splits that were drawn.
        left_sha256: hash of what is left of it where rows were forgotten, hex; None: all is there.
    """

    number: int
    snapshot: str
    parent: str | None
    targets: tuple[str, ...]
    rows: tuple[LabelledRow, ...]
    added_at: datetime
    file: str
    seed: int
    left_sha256: str | None = None


def new_snapshot(
    rows: Iterable[LabelledRow],
    targets: Sequence[str],
    earlier: Sequence[Snapshot],
    *,
    file: str,
    seed: int,
) -> Snapshot:
    """Return the snapshot that comes after the earlier ones; nothing is written."""
    parent = earlier[-1].snapshot if earlier else None
    ordered = tuple(sorted(rows, key=lambda row: row.clip_id))
    return Snapshot(
        number=len(earlier) + 1,
        snapshot=_hash(targets, parent, ordered),
        parent=parent,
        targets=tuple(targets),
        rows=ordered,
        added_at=datetime.now(UTC),
        file=file,
        seed=seed,
    )


def write_snapshot(store: ResultsStore, snapshot: Snapshot) -> bool:
    """Add a snapshot to a store; False if its chain goes on otherwise: it has been added to since.

    On a disk this process has locked the chain.

    Raises:
        StoreError: the disk is full, or does not take it for another reason.
    """
    name = f"{snapshot.number:06d}" if is_remote(store.location) else _full_name(snapshot)
    return store.claim(LABELS, name, _table(snapshot))


def without_clips(
    snapshot: Snapshot, clip_ids: Collection[str], speakers: Collection[str] = ()
) -> Snapshot:
    """Return a snapshot without clips and names of speakers: the same object if it has none."""
    rows = tuple(
        replace(row, speaker="") if row.speaker in speakers else row
        for row in snapshot.rows
        if row.clip_id not in clip_ids
    )
    if rows == snapshot.rows:
        return snapshot
    left_sha256 = _hash(snapshot.targets, snapshot.parent, rows)
    return replace(snapshot, rows=rows, left_sha256=left_sha256)


def rewrite_snapshot(store: ResultsStore, left: Snapshot) -> None:
    """Write what is left of a snapshot in its place; raises StoreError if it cannot be."""
    names = {part.name for part in store.parts(LABELS)}  # it may have been copied to a bucket
    full = _full_name(left)
    with store.storage_errors():
        file = file_name(LABELS, full if full in names else f"{left.number:06d}")
        store.writer.put(file, _table(left))


def _table(snapshot: Snapshot) -> pa.Table:
    """Return a snapshot as its file holds it."""
    schema = labels_schema(snapshot.targets)
    constants = {
        "snapshot": snapshot.snapshot,
        "parent": snapshot.parent,
        "number": snapshot.number,
        "added_at": snapshot.added_at,
    }
    columns = [column_name(target) for target in snapshot.targets]
    rows = [
        {
            "clip_id": row.clip_id,
            "content_sha256": row.content_sha256,
            "speaker": row.speaker or None,
            "split": row.split,
            NUM_RATERS: row.num_raters,
            **dict(zip(columns, _values(row.emi), strict=True)),
            **({} if row.vad is None else dict(zip(VAD_DIMENSIONS, _values(row.vad), strict=True))),
            **constants,
        }
        for row in snapshot.rows
    ]
    facts = {"targets": snapshot.targets, "file": snapshot.file, "seed": snapshot.seed}
    if snapshot.left_sha256 is not None:  # there may be no row left to say the constants
        added_at = snapshot.added_at.isoformat()
        facts["left"] = constants | {"sha256": snapshot.left_sha256, "added_at": added_at}
    metadata = {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}
    table = checked(pa.Table.from_pylist(rows, schema), schema)
    return table.replace_schema_metadata(metadata)


def read_snapshots(store: ResultsStore) -> list[Snapshot]:
    """Return the whole chain of a store, the first snapshot first; each file is verified.

    Raises:
        StoreError: a file is damaged, is not what its name says, or one of the chain is missing.
    """
    parts = store.parts(LABELS)
    chain: list[Snapshot] = []
    for part, content in zip(parts, store.contents(parts), strict=True):
        file = child(store.location, part.file)
        found = _read(file, part.name, content)
        parent = chain[-1].snapshot if chain else None
        if (found.number, found.parent) != (len(chain) + 1, parent):
            raise StoreError(
                f"{file}: label snapshot {found.number} does not follow number {len(chain)}: "
                "a snapshot is missing, or came from another store; put back what was there"
            )
        chain.append(found)
    return chain


def _read(file: str, name: str, content: bytes) -> Snapshot:
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as parquet:
            found = _taken(parquet.read())
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException, StoreError) as error:
        raise StoreError(f"{file}: damaged label snapshot, put back a copy ({error})") from error
    if name not in (_full_name(found), f"{found.number:06d}") or _hash(
        found.targets, found.parent, found.rows
    ) != (found.left_sha256 or found.snapshot):
        raise StoreError(
            f"{file}: the label snapshot is not what its name says, it was changed after it was "
            "written: put back a copy"
        )
    return found


def _taken(table: pa.Table) -> Snapshot:
    """Return a table's snapshot; raises KeyError, ValueError and the like for one that is none."""
    facts = {key: json.loads(value) for key, value in (table.schema.metadata or {}).items()}
    targets = tuple(facts[b"targets"])
    table = checked(_with_raters(table), labels_schema(targets))
    emi = _matrix(table, [column_name(target) for target in targets])
    vad = _matrix(table, VAD_DIMENSIONS)
    names = ("clip_id", "content_sha256", "speaker", "split", NUM_RATERS)
    texts = zip(*(table[name].to_pylist() for name in names), strict=True)
    rows = tuple(
        LabelledRow(
            clip_id=clip_id,
            content_sha256=content,
            emi=emi[n],
            vad=None if np.isnan(vad[n]).all() else vad[n],
            speaker=speaker or "",
            split=split,
            num_raters=num_raters,
        )
        for n, (clip_id, content, speaker, split, num_raters) in enumerate(texts)
    )
    return Snapshot(
        **_constants(table, facts),
        targets=targets,
        rows=rows,
        file=facts[b"file"],
        seed=facts[b"seed"],
        left_sha256=facts.get(b"left", {}).get("sha256"),
    )


def _constants(table: pa.Table, facts: Mapping[bytes, Any]) -> dict[str, Any]:
    """Return what all rows of a snapshot's file say of it."""
    names = ["number", "snapshot", "parent", "added_at"]
    if b"left" in facts:
        left = {name: facts[b"left"][name] for name in names}
        return left | {"added_at": datetime.fromisoformat(left["added_at"])}
    (constant,) = table.select(names).group_by(names).aggregate([]).to_pylist()
    return dict(constant)


def _with_raters(table: pa.Table) -> pa.Table:
    """Return a table with the column of raters, which snapshots of earlier versions lack."""
    names: list[str] = table.schema.names
    if NUM_RATERS in names or "split" not in names:
        return table
    empty = pa.nulls(table.num_rows, pa.float64())
    return table.add_column(names.index("split") + 1, NUM_RATERS, empty)


def _values(labels: Floats) -> list[float | None]:
    """Return labels as numbers; None where one is missing."""
    return [None if math.isnan(value) else value for value in labels.tolist()]


def _matrix(table: pa.Table, names: Sequence[str]) -> Floats:
    """Return columns as float32 (rows, columns); NaN for null."""
    columns = [table[name].to_numpy() for name in names]
    return np.stack(columns, axis=1).astype(np.float32)


def _hash(targets: Sequence[str], parent: str | None, rows: Iterable[LabelledRow]) -> str:
    content = [list(targets), parent, [row.content() for row in rows]]
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _full_name(snapshot: Snapshot) -> str:
    return f"{snapshot.number:06d}-{snapshot.snapshot[:_NAME_CHARS]}"
