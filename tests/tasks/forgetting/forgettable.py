"""A store of which every table holds a clip that is to be forgotten, and one that stays."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emi_model.errors import CorpusError
from tasks.forgetting.forget import finish_forgetting, forget_clips, plan_forgetting
from tasks.labels.snapshots import LabelledRow, new_snapshot, read_snapshots, write_snapshot
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.schema.tables import LABELS, LEADING, TABLES
from tasks.storage.folder import Folder
from tasks.store.paths import file_name
from tasks.store.store import ResultsStore

ANNA, BEN = "anna/clip ünö 1.mp4", "ben/2.mp4"
"""To be forgotten; stays."""

NAMES = ("anna", "1.mp4")
"""What no file may hold afterwards."""

CONTENT = {ANNA: "a1" * 32, BEN: "b2" * 32}
_WHEN = datetime(2026, 11, 1, tzinfo=UTC)


class Killed(BaseException):
    """Nothing of the program runs any more."""


def fill(store: ResultsStore) -> None:
    """Give every table of a store rows of both clips, or texts that name them both."""
    for leading, companions in LEADING.items():
        tables = {table: of_both(table) for table in (*companions, leading)}
        store.commit("run1-00000", tables)
        store.commit("run2-00000", {t: rows.slice(0, 1) for t, rows in tables.items()})
    for table in TABLES:
        if table not in (*LEADING, *(one for of in LEADING.values() for one in of), LABELS):
            store.writer.put(file_name(table, "run1"), of_both(table))
    label(store, ANNA, BEN)
    label(store, ANNA)


def content_of(clip_id: str) -> str:
    """Return the hash of a clip's file; files called ``copy`` and ``original`` are alike."""
    if Path(clip_id).stem in ("copy", "original"):
        return "c3" * 32
    return CONTENT.get(clip_id) or hashlib.sha256(clip_id.encode()).hexdigest()


def label(store: ResultsStore, *clip_ids: str, speaker: str = "") -> str:
    """Add a snapshot of labels; a clip's speaker is its folder. Returns its id."""
    chain = read_snapshots(store)
    rows = [
        LabelledRow(
            clip_id,
            content_of(clip_id),
            np.full(1, 0.1 * len(chain), np.float32),
            None,
            speaker or clip_id.partition("/")[0],
            "train",
        )
        for clip_id in clip_ids
    ]
    snapshot = new_snapshot(rows, ["Joy"], chain, file="labels.csv", seed=1)
    assert write_snapshot(store, snapshot)
    return snapshot.snapshot


def of_both(table: str) -> pa.Table:
    """Return a row of each clip under the schema of a table."""
    schema = TABLE_SCHEMAS[table]
    rows = [{field.name: filled_value(field, clip) for field in schema} for clip in (ANNA, BEN)]
    return pa.Table.from_pylist(rows, schema)


def filled_value(field: pa.Field, clip_id: str) -> Any:
    """Return what a row of a clip has in a field; all of its texts name the clip."""
    known = {
        "clip_id": clip_id,
        "speaker": clip_id.partition("/")[0],
        "content_sha256": content_of(clip_id),
        "uri": Path("/c", clip_id).as_uri(),
        "number": 1,
    }
    return known[field.name] if field.name in known else _filled(field.type, clip_id)


def _filled(kind: pa.DataType, clip_id: str) -> Any:
    """Return a value of a type; every text in it names the clip."""
    if pa.types.is_map(kind):
        return [(_filled(kind.key_type, clip_id), _filled(kind.item_type, clip_id))]
    if pa.types.is_struct(kind):
        return {inner.name: _filled(inner.type, clip_id) for inner in kind}
    if pa.types.is_list(kind):
        return [_filled(kind.value_type, clip_id)]
    if pa.types.is_string(kind):
        return f"about /c/{clip_id}, a clip"
    if pa.types.is_timestamp(kind):
        return _WHEN
    return bool(1) if pa.types.is_boolean(kind) else 1


def everything_in(folder: Folder) -> Iterator[tuple[str, str]]:
    """Yield each file's name and all that it says: its bytes, footer and statistics; its rows."""
    for file in folder.files():
        content = folder.read(file.name)
        yield file.name, f"{file.name} {content.decode(errors='replace')}"
        if content.startswith(b"PAR1"):
            with pq.ParquetFile(io.BytesIO(content)) as parquet:
                rows = parquet.read().to_pylist()
                yield file.name, f"{rows} {parquet.metadata.to_dict()} {parquet.schema_arrow}"


def files_naming(folder: Folder, *names: str) -> set[str]:
    """Return the files that say any of these names, plainly or in their rows and statistics."""
    return {file for file, said in everything_in(folder) if any(name in said for name in names)}


def cache_file(home: Path, content: str, folder: str = "v1", suffix: str = ".flac") -> Path:
    """Write a file of the audio cache; returns its path."""
    path = home / "cache" / folder / content[:2] / f"{content}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"sound")
    return path


def forget(store: ResultsStore, pattern: str | None = None, speaker: str | None = None) -> Any:
    """Forget clips as the command does."""
    num_resumed = finish_forgetting(store.location)
    try:
        wanted, found = plan_forgetting(store.location, pattern, speaker)
    except CorpusError:
        if num_resumed:
            return None
        raise
    forget_clips(store.location, wanted, found.amount)
    return found
