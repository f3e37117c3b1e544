"""Which clips of a corpus are done: the one place that decides it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from emi_model.devices import available_cores
from emi_model.modalities import AUDIO_NEEDED
from tasks.corpus.clips import ClipFile, hash_clip
from tasks.corpus.objects import READERS
from tasks.schema.outcomes import Flag, Reason, Status
from tasks.schema.scores import EXTRACTION, scores_schema
from tasks.schema.tables import SCORES, TRANSCRIPTS
from tasks.schema.transcripts import transcripts_schema
from tasks.store.query import answer
from tasks.store.store import ResultsStore
from tasks.threads import map_in_threads

_LATEST_ROWS = """
SELECT clip_id, content_sha256, bytes, modified_ns FROM all_scores
QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY scored_at DESC) = 1
"""


_LACKING: Mapping[str, str] = {
    Reason.NO_SPEECH: "text",
    Reason.NO_FACE: "vision",
    Reason.NO_VIDEO: "vision",
}
"""The modality that a clip of this reason lacks; optional, it is no reason."""

_TRIED_AGAIN = (Reason.NO_SERIES, Reason.BAD_SERIES)
"""Reasons that lie in files beside the clip, which a row does not know."""

_IDENTITY = ["clip_id", "content_sha256", "bytes", "modified_ns", "uri"]
_SOUND = ["extraction", "reason", "detail", "flags", "channels", "codec"]


class DoneClip(NamedTuple):
    """What planning needs of a clip's row.

    Attributes:
        content_sha256: hash of its content, hex.
        size: bytes.
        modified_ns: modification time, nanoseconds since 1970.
        uri: where it lay; None if that does not matter.
    """

    content_sha256: str | None
    size: int | None
    modified_ns: int | None
    uri: str | None = None


@dataclass
class ScoringPlan:
    """What a run has to do.

    Attributes:
        todo: clips to extract and score.
        reusable: clips whose content has a row under another name: clip and that name.
        num_skipped: clips that are done.
        moved: those of them that no longer lie where their row says.
        num_superseded: clips of these whose earlier row in the store they will replace.
    """

    todo: list[ClipFile] = field(default_factory=list)
    reusable: list[tuple[ClipFile, str]] = field(default_factory=list)
    num_skipped: int = 0
    num_superseded: int = 0
    moved: list[ClipFile] = field(default_factory=list)

    @property
    def replaces_rows(self) -> bool:
        """Whether some of the store's rows are replaced by others."""
        return self.num_superseded > 0 or bool(self.moved)

    @property
    def num_listed(self) -> int:
        """All clips of the source."""
        return len(self.todo) + len(self.reusable) + self.num_skipped


def done_clips(
    store: ResultsStore,
    model_sha256: str,
    coverage: str,
    *,
    needs: Mapping[str, bool] = AUDIO_NEEDED,
    asr_key: str | None = None,
    why: str | None = None,
) -> dict[str, DoneClip]:
    """Return the latest rows under a model and coverage by clip id.

    One that may be another now comes without its content, so that its clip is scored again: an
    earlier version of the extraction may have got it wrong, its model read another ASR model's
    text, or it lacks a modality that was optional and is needed, or the other way round, or one
    that failed for a reason that may pass, or the attributions that are wanted.

    Args:
        store: the store.
        model_sha256: of the model, hex.
        coverage: ``first`` or ``full``.
        needs: modalities that are wanted, each with whether a clip is rejected without it.
        asr_key: of the ASR model and settings whose text the model reads; None: it reads none.
        why: what scores are to be attributed to, as the column of that name.
    """
    wanted = (ds.field("model_sha256") == model_sha256) & (ds.field("coverage") == coverage)
    columns = [*_IDENTITY, *_SOUND, "modalities", "asr_key", "why", "scored_at"]
    table = _by_time(store.rows(SCORES, scores_schema(), wanted, columns), "scored_at")
    found = table.select(["reason", "modalities", "asr_key", "why", "flags"]).to_pylist()
    changed = [_is_changed(row, needs, asr_key) or _lacks_why(row, why) for row in found]
    both = zip(_outdated(table), changed, strict=True)
    return _latest(table, [is_old or is_changed for is_old, is_changed in both])


def _is_changed(row: Mapping[str, Any], needs: Mapping[str, bool], asr_key: str | None) -> bool:
    """Return whether a row would be another under these needs and this ASR model."""
    reason, modalities = row["reason"], row["modalities"]
    lacks = _LACKING.get(reason or "")
    if asr_key not in (None, row["asr_key"]) and (reason is None or lacks == "text"):
        return True
    if reason in _TRIED_AGAIN or Flag.INPUT_FAILED in row["flags"]:
        return True
    if reason is not None:
        return lacks is not None and not needs.get(lacks, False)
    must = {modality for modality, needed in needs.items() if needed}
    return modalities is not None and not must <= set(modalities)


def _lacks_why(row: Mapping[str, Any], why: str | None) -> bool:
    """Return whether a scored row lacks wanted attributions; ``all`` are enough for any."""
    return row["reason"] is None and why is not None and row["why"] not in (why, "all")


def done_transcripts(
    store: ResultsStore, asr_key: str, *, keep_text: bool = True
) -> dict[str, DoneClip]:
    """Return the latest transcripts under an ASR model and its settings by clip id.

    Where words are to be kept, a row without them comes without its clip's content.
    """
    columns = [*_IDENTITY, "status", "text", "transcribed_at"]
    wanted = ds.field("asr_key") == asr_key
    found = store.rows(TRANSCRIPTS, transcripts_schema(), wanted, columns)
    table = _by_time(found, "transcribed_at")
    transcribed = pc.equal(table["status"], Status.TRANSCRIBED.value)
    wordless = pc.and_(transcribed, pc.is_null(table["text"])).to_pylist()
    return _latest(table, [keep_text and lacks for lacks in wordless])


def _by_time(table: pa.Table, column: str) -> pa.Table:
    """Return rows by time; of one time the later part's last, as in the views: it was renewed."""
    table = table.append_column("place", pa.array(range(table.num_rows), pa.int64()))
    return table.sort_by([(column, "ascending"), ("place", "ascending")])


def _latest(table: pa.Table, outdated: Sequence[bool]) -> dict[str, DoneClip]:
    values = zip(*(table[column].to_pylist() for column in _IDENTITY), strict=True)
    return {
        clip_id: DoneClip(None, None, None) if is_outdated else DoneClip(*rest)
        for (clip_id, *rest), is_outdated in zip(values, outdated, strict=True)
    }


def _outdated(table: pa.Table) -> list[bool]:
    """Return which rows an earlier version of the extraction may have got wrong.

    Before version 2 several formats were refused, channels without a layout were weighed as if
    they had one, stereo that cancels was silent, a gap looked like a decode that is too short, and
    sound that begins far into a disc's file was not found.
    """
    found = pc.less(pc.fill_null(table["extraction"], 1), EXTRACTION)
    rows = zip(*(table[name].to_pylist() for name in _SOUND[1:]), strict=True)
    return [
        is_old and _is_suspect(*row) for is_old, row in zip(found.to_pylist(), rows, strict=True)
    ]


def _is_suspect(
    reason: str | None,
    detail: str | None,
    flags: Sequence[str],
    channels: int | None,
    codec: str | None,
) -> bool:
    if reason == Reason.NO_AUDIO_TRACK:
        return (detail or "").endswith((" in mpeg", " in mpegts"))
    if reason is not None:
        return reason in (Reason.REFUSED, Reason.NO_SAMPLES)
    if Flag.SHORT_DECODE in flags or (Flag.SILENT in flags and channels == 2):
        return True
    return (channels or 0) > 2 and (codec or "").startswith(("pcm_", "flac"))


def done_under_any_model(results: str) -> dict[str, DoneClip]:
    """Return the latest row of each clip in the store at ``results``, under any model.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    rows = answer(results, _LATEST_ROWS).to_pylist()
    return {
        row["clip_id"]: DoneClip(row["content_sha256"], row["bytes"], row["modified_ns"])
        for row in rows
    }


def plan_clips(
    clips: Sequence[ClipFile],
    done: Mapping[str, DoneClip],
    *,
    rescore: bool = False,
    by_name: bool = False,
) -> ScoringPlan:
    """Divide clips into those that are done, to reuse and to do.

    A clip is done when the store holds a row for its content. If its size and modification time
    are those of its row, it is not read; otherwise its hash decides, if a row has its size. A clip
    whose content has a row under another name reuses that row. So does an object whose own row has
    another time: the next run need not fetch it to see that it is the same.

    Args:
        clips: the listed clips.
        done: the store's rows under this model and coverage, by clip id.
        rescore: everything is to do.
        by_name: scores depend on the clip's name, too: no clip reuses the row of another.

    Raises:
        CorpusError: a storage does not answer.
    """
    plan = ScoringPlan()
    new = [clip for clip in clips if rescore or not is_unchanged(clip, done.get(clip.clip_id))]
    plan.num_skipped = len(clips) - len(new)
    left = {clip.clip_id for clip in new}
    plan.moved = [clip for clip in clips if clip.clip_id not in left and _has_moved(clip, done)]
    sizes = {row.size for row in done.values() if row.content_sha256}
    contents = {} if rescore else _contents(new, sizes)
    clip_of = {row.content_sha256: clip_id for clip_id, row in done.items() if row.content_sha256}
    for clip in new:
        row, content = done.get(clip.clip_id), contents.get(clip.clip_id)
        is_same = row is not None and content is not None and content == row.content_sha256
        if row is not None and is_same and not clip.is_remote:
            plan.num_skipped += 1
            # with its new time in the row it need not be read again
            is_touched = clip.modified_ns != row.modified_ns
            plan.moved += [clip] if is_touched or _has_moved(clip, done) else []
            continue
        plan.num_superseded += row is not None
        if is_same:
            plan.reusable.append((clip, clip.clip_id))
        elif content in clip_of and not by_name:
            plan.reusable.append((clip, clip_of[content]))
        else:
            plan.todo.append(clip)
    return plan


def is_unchanged(clip: ClipFile, row: DoneClip | None) -> bool:
    """Return whether a clip has the size and time of its row, and the row a content hash."""
    return row is not None and row.content_sha256 is not None and has_size_and_time(clip, row)


def has_size_and_time(clip: ClipFile, row: DoneClip | None) -> bool:
    """Return whether a clip has the size and time of its row; without a time nobody can tell."""
    if row is None or row.modified_ns is None:
        return False
    return (clip.size, clip.modified_ns) == (row.size, row.modified_ns)


def _has_moved(clip: ClipFile, done: Mapping[str, DoneClip]) -> bool:
    """Return whether a clip that is done does not lie where its row says."""
    return done[clip.clip_id].uri not in (None, clip.uri)


def _contents(clips: Sequence[ClipFile], sizes: Container[int | None]) -> dict[str, str | None]:
    """Return the hashes of clips that have one of these sizes; None for what cannot be read."""
    worth = [clip for clip in clips if clip.size is not None and clip.size in sizes]
    threads = READERS if any(clip.is_remote for clip in worth) else available_cores()
    hashes = map_in_threads(worth, lambda: nullcontext(hash_clip), threads=threads)
    return dict(zip((clip.clip_id for clip in worth), hashes, strict=True))
