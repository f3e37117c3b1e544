"""A store of six clips, made without media: words, labels, names that clash, a rejection."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.labels.label_set import LabelledRow
from tasks.labels.snapshots import new_snapshot, write_snapshot
from tasks.schema.fields import checked
from tasks.schema.scores import VAD_OF_MEAN, scored_schema
from tasks.schema.tables import TRANSCRIPTS
from tasks.schema.transcripts import transcripts_schema
from tasks.scoring.commit import RunStamp, tables_of
from tasks.store.store import ResultsStore, create_store

TALK, CLASH, FOLDED, FORMULA, BROKEN, QUIET = (
    *("a/talk.wav", "a/talk.mp4", "A/TALK.wav"),
    *("=1+1.wav", "b/broken.mp4", 'ü & "q" <é>.wav'),
)
JOY = {TALK: 0.5, CLASH: 0.25, FOLDED: 0.125, FORMULA: 0.75, QUIET: 1.0}
SAID = 'he said "yes" & <no> --> ; ok'
LICENCE = "CC-BY-NC-SA-4.0"
SCORED = scored_schema(EMI_TARGETS)


def stamp(**fields: Any) -> RunStamp:
    plain = {"model": "tiny", "model_sha256": "aabbccddeeff00", "coverage": "first"}
    plain |= {"run_id": "run1", "backbone_licence": LICENCE}
    return RunStamp(**{**plain, **fields}, targets=EMI_TARGETS)


def scored_row(clip_id: str, value: float | None, **facts: Any) -> dict[str, Any]:
    """Return a row of a scorer: sound from 1 s to 3.5 s; rejected if there is no value."""
    row: dict[str, Any] = dict.fromkeys(SCORED.names)
    row |= {"clip_id": clip_id, "uri": f"/clips/{clip_id}", "flags": [], "extraction": 2}
    row |= {name: [] for name in ("timeline", "windows", "attributions")}
    if value is None:
        return row | {"status": "rejected", "reason": "no_audio_track", "detail": "none"} | facts
    vad = dict.fromkeys(VAD_DIMENSIONS, value)
    seconds = [{"second": n, **vad, "num_frames": 50} for n in (1, 2, 3)]
    scores = dict.fromkeys((*map(column_name, EMI_TARGETS), *VAD_OF_MEAN), value)
    row |= {**scores, **vad, "status": "scored", "timeline": seconds, "num_frames": 125}
    return row | {"audio_start_seconds": 1.0, "duration_seconds": 2.5} | facts


def put_rows(store: ResultsStore, name: str, rows: list[dict[str, Any]], **fields: Any) -> None:
    store.commit(name, tables_of(pa.Table.from_pylist(rows, SCORED), stamp(**fields)))


def transcript(clip_id: str, *segments: tuple[float, float, str]) -> dict[str, Any]:
    """Return a row of transcripts; its seconds are of the sound, which begins at 1 s."""
    names = ("start_seconds", "end_seconds", "text")
    text = " ".join(words for _, _, words in segments)
    return {
        "clip_id": clip_id,
        "uri": f"/clips/{clip_id}",
        "status": "transcribed",
        "flags": [],
        "audio_start_seconds": 1.0,
        "has_speech": bool(segments),
        "text": text,
        "language": "en" if segments else None,
        "num_words": len(text.split()),
        "segments": [dict(zip(names, one, strict=True)) for one in segments],
        "asr_model": "tiny.en",
        "asr_sha256": "ff",
        "asr_key": "k",
        "asr_settings": "{}",
        "run_id": "run1",
        "transcribed_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


def put_words(store: ResultsStore, name: str, *rows: dict[str, Any]) -> None:
    schema = transcripts_schema()
    store.commit(name, {TRANSCRIPTS: checked(pa.Table.from_pylist(rows, schema), schema)})


def put_labels(store: ResultsStore, clip_id: str, *values: float) -> None:
    row = LabelledRow(
        clip_id=clip_id,
        content_sha256="",
        emi=np.array(values, np.float32),
        vad=None,
        speaker="00012",
        split="train",
        num_raters=None,
    )
    assert write_snapshot(store, new_snapshot([row], EMI_TARGETS, [], file="l.csv", seed=1))


def made_store(root: Path | str) -> ResultsStore:
    """Return the store at a place."""
    store = create_store(root)
    put_rows(store, "p1", [scored_row(clip_id, joy) for clip_id, joy in JOY.items()])
    put_rows(store, "p2", [scored_row(BROKEN, None)])
    put_words(
        store,
        "p3",
        transcript(TALK, (0.5, 1.5, SAID), (1.25, 2.0, "naïve\nwords")),
        transcript(QUIET),
    )
    put_labels(store, TALK, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    return store
