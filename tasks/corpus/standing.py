"""What a run finds out about the clips of a store: which are gone, and which scores are current.

Only the whole listing of a folder or bucket says that a clip is gone: a run with ``--limit``, of a
manifest or of one file leaves out what it does not name. A folder answers for the clips whose rows
were found in it; those of other sources stay.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tasks.corpus.clips import ClipFile, readable
from tasks.corpus.manifest import MANIFEST_SUFFIXES
from tasks.schema.fields import checked
from tasks.schema.scores import scores_schema
from tasks.schema.standing import CURRENT_SCHEMA, MISSING_SCHEMA
from tasks.schema.tables import CURRENT_MODEL, MISSING_CLIPS, SCORES, TRANSCRIPTS
from tasks.schema.transcripts import transcripts_schema
from tasks.storage.open import child, is_remote, local_path, open_folder
from tasks.store.store import ResultsStore

_FILE_URI = "file://"


def is_folder(source: str, clips: Sequence[ClipFile]) -> bool:
    """Return whether a source that was listed is a folder or a prefix of a bucket.

    Args:
        source: as the user names it.
        clips: what it holds.
    """
    if is_remote(source):
        return bool(clips) and clips[0].uri == child(open_folder(source).uri, clips[0].clip_id)
    return local_path(source).is_dir()


def is_one_file(source: str, clips: Sequence[ClipFile]) -> bool:
    """Return whether a source that was listed is one media file: no corpus."""
    return not is_folder(source, clips) and not source.lower().endswith(MANIFEST_SUFFIXES)


def note_listing(
    store: ResultsStore, source: str, clips: Sequence[ClipFile], *, whole: bool
) -> None:
    """Record which of the store's clips are gone, and forget it of those that were found again.

    Args:
        store: locked by this process.
        source: that was listed.
        clips: what was found in it.
        whole: nothing of it was left out.

    Raises:
        StoreError: the store cannot be read or written.
    """
    listed = pa.array([clip.clip_id for clip in clips], pa.string())
    before = _facts(store, MISSING_CLIPS, MISSING_SCHEMA)
    missing = before.filter(pc.invert(pc.is_in(before["clip_id"], listed)))
    if whole and is_folder(source, clips):
        gone = _not_found(store, source, listed) - set(missing["clip_id"].to_pylist())
        now = datetime.now(UTC)
        rows = [
            {"clip_id": clip_id, "source": source, "missing_since": now} for clip_id in sorted(gone)
        ]
        missing = pa.concat_tables([missing, pa.Table.from_pylist(rows, MISSING_SCHEMA)])
    if not missing.equals(before):
        store.replace(MISSING_CLIPS, checked(missing, MISSING_SCHEMA))


def note_current(
    store: ResultsStore,
    *,
    model: str,
    model_sha256: str,
    coverage: str,
    run_id: str,
    is_champion: bool,
) -> bool:
    """Make a model and coverage the current ones; return whether they are.

    A champion stays current until another champion has scored: a model that is only tried does not
    take its place.

    Args:
        store: locked by this process.
        model: name of the model that scored all of a corpus.
        model_sha256: its hash, hex.
        coverage: ``first`` or ``full``.
        run_id: the run that did.
        is_champion: whether the model was the registered champion when the run began.

    Raises:
        StoreError: the store cannot be read or written.
    """
    before = next(iter(_facts(store, CURRENT_MODEL, CURRENT_SCHEMA).to_pylist()), None)
    if before is not None and before["is_champion"] and not is_champion:
        if before["model_sha256"] != model_sha256:
            return False
        is_champion = True
    found = {
        "model": model,
        "model_sha256": model_sha256,
        "coverage": coverage,
        "is_champion": is_champion,
    }
    if before is None or any(before[name] != value for name, value in found.items()):
        row = {**found, "run_id": run_id, "since": datetime.now(UTC)}
        store.replace(
            CURRENT_MODEL, checked(pa.Table.from_pylist([row], CURRENT_SCHEMA), CURRENT_SCHEMA)
        )
    return True


def _facts(store: ResultsStore, table: str, schema: pa.Schema) -> pa.Table:
    return store.rows(table, schema, ds.scalar(True)).cast(schema)


def _not_found(store: ResultsStore, source: str, listed: pa.Array) -> set[str]:
    """Return the clips whose rows were found in a folder that does not hold them now.

    A folder that is new to the store, and holds clips that were found in another, is that one,
    moved: it answers for what lay there and is there no more.
    """
    is_listed = ds.field("clip_id").isin(listed)
    places = _places(store, ~is_listed)
    gone = {clip_id for clip_id, uri in places.items() if _was_in(source, clip_id, uri)}
    lost = {
        clip_id: _root(clip_id, uri)
        for clip_id, uri in places.items()
        if clip_id not in gone and not _is_there(uri)
    }
    if not lost:
        return gone
    found = _places(store, is_listed)
    if any(_was_in(source, clip_id, uri) for clip_id, uri in found.items()):
        return gone
    before = {_root(clip_id, uri) for clip_id, uri in found.items()} - {None}
    return gone | {clip_id for clip_id, root in lost.items() if root in before}


def _places(store: ResultsStore, wanted: ds.Expression) -> dict[str, str]:
    """Return where clips were found last, by clip id; by their scores, if they have any."""
    found: dict[str, str] = {}
    for table, schema, time in (
        (TRANSCRIPTS, transcripts_schema(), "transcribed_at"),
        (SCORES, scores_schema(), "scored_at"),
    ):
        rows = store.rows(table, schema, wanted, ["clip_id", "uri", time]).sort_by(time)
        found |= zip(rows["clip_id"].to_pylist(), rows["uri"].to_pylist(), strict=True)
    return found


def _is_there(uri: str) -> bool:
    """Return whether there is a file; an object of a bucket is believed to be there."""
    return not uri.startswith(_FILE_URI) or os.path.exists(_path(uri))  # noqa: PTH110 - bytes


def _path(uri: str) -> bytes:
    return unquote_to_bytes(uri.removeprefix(_FILE_URI))


def _root(clip_id: str, uri: str) -> str | None:
    """Return the folder below which a file has its clip id as its path; None if there is none."""
    path = readable(_path(uri))
    return path.removesuffix(clip_id) if path.endswith(f"/{clip_id}") else None


def _was_in(source: str, clip_id: str, uri: str) -> bool:
    """Return whether a clip of this id, found at ``uri``, was listed in this folder or prefix."""
    if is_remote(source) or not uri.startswith(_FILE_URI):
        return is_remote(source) and uri == child(open_folder(source).uri, clip_id)
    root = os.fsencode(local_path(source).absolute())
    below = os.path.relpath(os.path.normpath(_path(uri)), os.path.normpath(root))
    return readable(below) == clip_id
