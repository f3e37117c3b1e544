"""The schema of the runs table: one row a run."""

from __future__ import annotations

from typing import get_args

import pyarrow as pa

from emi_model.architecture.config import Precision
from tasks.schema.fields import DOUBLE, MODEL_FIELDS, TEXT, TIME, described

PRECISIONS = "|".join(get_args(Precision))

RUNS_SCHEMA = pa.schema(
    [
        described("run_id", TEXT, "", "the run", nullable=False),
        described("state", TEXT, "running|completed|interrupted|failed|killed", "", nullable=False),
        described("source", TEXT, "", "corpus that was listed", nullable=False),
        *MODEL_FIELDS,
        described(
            "coverage", TEXT, "first|full", "which part of a clip was scored", nullable=False
        ),
        described("precision", TEXT, PRECISIONS, "numerics asked for", nullable=False),
        described("started_at", TIME, "UTC", "", nullable=False),
        described("finished_at", TIME, "UTC", "null while it runs"),
        described("num_listed", pa.int64(), "clips", "found in the source"),
        described("num_scored", pa.int64(), "clips", "rows with scores that this run wrote"),
        described("num_rejected", pa.int64(), "clips", "rejection rows that this run wrote"),
        described("num_skipped", pa.int64(), "clips", "done before"),
        described(
            "num_adopted", pa.int64(), "clips", "of these rows, taken over from equal content"
        ),
        described("reasons", pa.map_(TEXT, pa.int64()), "clips", "rejections by reason"),
        described("nodes", pa.map_(TEXT, pa.int64()), "clips", "scored, by Ray node"),
        described("numerics", pa.map_(TEXT, pa.int64()), "clips", "scored, by what precision was"),
        described("list_seconds", DOUBLE, "s", "listing the corpus and planning"),
        described("extract_seconds", DOUBLE, "s", "extraction, summed over workers"),
        described("score_seconds", DOUBLE, "s", "scoring, summed over workers"),
        described("commit_seconds", DOUBLE, "s", "committing parts"),
        described("wall_seconds", DOUBLE, "s", "the whole run"),
        described("audio_seconds", DOUBLE, "s", "audio scored"),
        described("audio_hours_per_hour", DOUBLE, "h/h", "audio scored over the whole run's time"),
        described("padding_share", DOUBLE, "0..1", "share of padding in what the model saw"),
        described("versions", pa.map_(TEXT, TEXT), "", "this project, Python, torch, ffmpeg, ..."),
        described("commit", TEXT, "", "git commit of this project, if it runs from a checkout"),
        described("message", TEXT, "", "what ended a run that did not complete"),
    ]
)
