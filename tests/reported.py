"""A results store as long use leaves it, made without media: runs, labels, rejections, figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.metadata.versions import write_version
from tasks.schema.fields import checked
from tasks.schema.outcomes import Flag, Reason, Status
from tasks.schema.registers import labels_schema, register_table
from tasks.schema.runs import RUNS_SCHEMA
from tasks.schema.scores import scores_schema, timeline_schema
from tasks.schema.tables import EVALUATIONS, LABELS, SCORES, TIMELINE, TRANSCRIPTS
from tasks.schema.transcripts import SEGMENT_ITEM, transcripts_schema
from tasks.store.store import ResultsStore, create_store

TARGETS = [column_name(target) for target in EMI_TARGETS]
BEGAN = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)
SECONDS = 7
CONDITIONS = ("alone", "in company")
_OF_MODEL = {"model": "generated", "model_sha256": "ab" * 32, "coverage": "first"}
_LICENCE = "CC-BY-NC-SA-4.0"
_REASONS = (Reason.UNREADABLE, Reason.NO_AUDIO_TRACK, Reason.TOO_SHORT)
_PART = 100_000


def write_store(
    folder: Path,
    num_clips: int,
    *,
    num_runs: int = 4,
    seed: int = 1,
    content_sha256: str | None = None,
) -> ResultsStore:
    """Write a store of as many clips: 1 of 50 rejected, 1 of 10 labelled, two evaluated models.

    Args:
        folder: of the store.
        num_clips: of the corpus.
        num_runs: among which the clips are divided.
        seed: of all that is drawn.
        content_sha256: of every clip's file; default one for each.
    """
    store, draw = create_store(folder), np.random.default_rng(seed)
    bounds = np.linspace(0, num_clips, num_runs + 1).astype(int)
    for run in range(num_runs):
        run_id = f"20261102T03{run:02d}00Z-{run:03d}abcdef"
        began = BEGAN + timedelta(days=run)
        for start in range(int(bounds[run]), int(bounds[run + 1]), _PART):
            stop = min(start + _PART, int(bounds[run + 1]))
            scores, timeline = _clips(range(start, stop), run_id, began, draw, 0.1 * run / num_runs)
            if content_sha256 is not None:
                place = scores.schema.get_field_index("content_sha256")
                same = _same(content_sha256, scores.num_rows)
                scores = scores.set_column(place, scores.schema.field(place), same)
            store.commit(f"{run_id}-{start:08d}", {SCORES: scores, TIMELINE: timeline})
        store.record_run(_run(run_id, began, int(bounds[run + 1] - bounds[run])))
    study = {
        "clip_id": [clip_name(number) for number in range(num_clips)],
        "speaker": [clip_name(number).split("/")[0] for number in range(num_clips)],
        "condition": [CONDITIONS[number // 40 % 2] for number in range(num_clips)],
    }
    write_version(store, "clip_id", 1, pa.table(study), "study.csv", BEGAN)
    store.record(LABELS, "snapshot", _labels(num_clips, draw))
    store.record(EVALUATIONS, "evaluations", register_table(EVALUATIONS, _evaluations()))
    return store


def write_transcript(
    store: ResultsStore, clip_id: str, *stretches: tuple[float, float, str]
) -> None:
    """Add what is said in a clip: beginning and end of each stretch of speech, and its words."""
    schema = transcripts_schema()
    words = " ".join(text for _, _, text in stretches)
    segments = [
        dict.fromkeys(field.name for field in SEGMENT_ITEM)
        | {"start_seconds": start, "end_seconds": end, "text": text}
        for start, end, text in stretches
    ]
    row = dict.fromkeys(schema.names) | {
        "clip_id": clip_id,
        "uri": clip_id,
        "content_sha256": "ab" * 32,
        "status": Status.TRANSCRIBED.value,
        "flags": [],
        "has_speech": bool(words),
        "language": "en",
        "text": words,
        "segments": segments,
        "num_words": len(words.split()),
        "asr_model": "tiny.en",
        "asr_sha256": "cd" * 32,
        "asr_key": "ef" * 32,
        "asr_settings": "{}",
        "run_id": "20261109T030000Z-000abcdef",
        "transcribed_at": BEGAN + timedelta(days=7),
    }
    table = checked(pa.Table.from_pylist([row], schema), schema)
    store.commit(f"said-{len(store.parts(TRANSCRIPTS))}", {TRANSCRIPTS: table})


def clip_name(number: int) -> str:
    """Return a clip's id: every speaker has forty clips."""
    return f"speaker{number // 40:05d}/clip{number:07d}.mp4"


def _clips(
    numbers: range, run_id: str, began: datetime, draw: np.random.Generator, shift: float
) -> tuple[pa.Table, pa.Table]:
    size = len(numbers)
    clip_ids = pa.array([clip_name(number) for number in numbers])
    rejected = np.arange(size) % 50 == 49
    mood = draw.normal(size=size)
    values: dict[str, Any] = dict.fromkeys(scores_schema().names)
    for place, name in enumerate((*TARGETS, *VAD_DIMENSIONS)):
        raw = 0.25 + 0.05 * place + 0.1 * (mood * (1 if place % 2 else -1) + draw.normal(size=size))
        values[name] = np.clip(raw + shift, 0, 1)
    values |= {f"{name}_of_mean": values[name] for name in VAD_DIMENSIONS}
    seconds = np.minimum(np.exp(draw.normal(1.8, 0.6, size)), 900.0)
    values |= {
        "duration_seconds": np.minimum(seconds, 12.0),
        "declared_seconds": seconds,
        "scored_seconds": np.minimum(seconds, 12.0),
        "num_frames": (np.minimum(seconds, 12.0) * 50).astype(np.int64),
        "rms_dbfs": draw.normal(-28, 7, size),
        "peak_dbfs": draw.normal(-6, 3, size),
        "silent_fraction": draw.uniform(0, 0.4, size),
        "sampling_rate": np.where(np.arange(size) % 3 == 0, 44_100, 48_000).astype(np.int32),
    }
    columns = {
        name: pa.array(value, mask=rejected) for name, value in values.items() if value is not None
    }
    flags = [
        [str(Flag.SILENT)] * (place % 97 == 0) + [str(Flag.TRUNCATED)] * bool(long)
        for place, long in enumerate(seconds > 12)
    ]
    reasons = [str(_REASONS[place % 3]) if out else None for place, out in enumerate(rejected)]
    columns |= {
        "clip_id": clip_ids,
        "uri": clip_ids,
        "content_sha256": pa.array([f"{number:064x}" for number in numbers]),
        "status": pa.array(["rejected" if out else "scored" for out in rejected]),
        "reason": pa.array(reasons, pa.string()),
        "flags": pa.array(flags, pa.list_(pa.string())),
        "codec": pa.array(["opus" if place % 4 == 0 else "aac" for place in range(size)]),
        **{name: _same(text, size) for name, text in _OF_MODEL.items()},
        "backbone_licence": _same(_LICENCE, size),
        "run_id": _same(run_id, size),
        "scored_at": pa.array([began] * size, pa.timestamp("us", tz="UTC")),
    }
    scores = _table(columns, scores_schema(), size)
    return scores, _timeline(scores.filter(pc.invert(pa.array(rejected))), draw)


def _timeline(scores: pa.Table, draw: np.random.Generator) -> pa.Table:
    size = scores.num_rows
    every = np.repeat(np.arange(size), SECONDS)
    values = {
        name: np.clip(
            scores[name].to_numpy()[every] + draw.normal(0, 0.08, size * SECONDS), 0, 1
        ).astype(np.float32)
        for name in VAD_DIMENSIONS
    }
    named = ("clip_id", *_OF_MODEL, "run_id")
    columns = {name: scores[name].combine_chunks().take(pa.array(every)) for name in named}
    columns |= {name: pa.array(value) for name, value in values.items()}
    columns |= {
        "second": pa.array(np.tile(np.arange(SECONDS, dtype=np.int32), size)),
        "num_frames": pa.array(np.full(size * SECONDS, 50, np.int32)),
    }
    return _table(columns, timeline_schema(), size * SECONDS)


def _table(columns: dict[str, Any], schema: pa.Schema, size: int) -> pa.Table:
    """Return columns under a schema; those that are not given are null."""
    whole = [columns.get(field.name, pa.nulls(size, field.type)) for field in schema]
    cast = [one.cast(field.type) for one, field in zip(whole, schema, strict=True)]
    return checked(pa.table(cast, schema=schema), schema)


def _same(text: str, size: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), size)


def _run(run_id: str, began: datetime, num_clips: int) -> pa.Table:
    rejected = num_clips // 50
    row = (
        dict.fromkeys(RUNS_SCHEMA.names)
        | _OF_MODEL
        | {
            "run_id": run_id,
            "state": "completed",
            "made": "scores",
            "source": "corpus",
            "precision": "auto",
            "started_at": began,
            "finished_at": began + timedelta(minutes=4),
            "num_listed": num_clips,
            "num_scored": num_clips - rejected,
            "num_rejected": rejected,
            "num_skipped": 0,
            "wall_seconds": 240.0,
            "audio_hours_per_hour": 95.5,
            "versions": [("emi", "0.1.0"), ("torch", "2.13.0")],
        }
    )
    return pa.Table.from_pylist([row], RUNS_SCHEMA)


def _labels(num_clips: int, draw: np.random.Generator) -> pa.Table:
    schema = labels_schema(EMI_TARGETS)
    rows = [
        dict.fromkeys(schema.names)
        | {name: float(draw.integers(0, 6) / 5) for name in TARGETS}
        | {"clip_id": clip_name(number), "content_sha256": f"{number:064x}"}
        | {"speaker": f"speaker{number // 40:05d}", "split": "valid", "snapshot": "cd" * 32}
        | {"number": 1, "added_at": BEGAN}
        for number in range(0, num_clips, 10)
    ]
    return checked(pa.Table.from_pylist(rows, schema), schema)


def _evaluations() -> list[dict[str, Any]]:
    rows = []
    for place, model in enumerate(("paper", "generated")):
        for column, target in enumerate((*EMI_TARGETS, "mean")):
            pearson = 0.31 + 0.05 * place + 0.02 * column
            rows.append(
                {
                    "evaluation_id": f"e{place}",
                    "evaluated_at": BEGAN + timedelta(days=place),
                    "model": model,
                    "model_sha256": f"{place}f" * 32,
                    "snapshot": "cd" * 32,
                    "split": "valid",
                    "split_sha256": "ef" * 32,
                    "target": target,
                    "num_labelled": 400,
                    "num_clips": 396,
                    "num_missing": 4,
                    "num_trained_on": 0,
                    "num_held_out": 396,
                    "num_speakers": 10,
                    "pearson": pearson,
                    "pearson_low": pearson - 0.1,
                    "pearson_high": pearson + 0.08,
                    "ccc": pearson - 0.03,
                    "mae": 0.12,
                    "rmse": 0.17,
                    "interval_level": 0.95,
                    "num_resamples": 1000,
                }
            )
    return rows
