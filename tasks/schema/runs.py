"""The schema of the runs table: one row a run."""

from __future__ import annotations

from typing import get_args

import pyarrow as pa

from emi_model.architecture.config import Precision
from tasks.schema.fields import DOUBLE, MODEL_FIELDS, TEXT, TIME, described, required

PRECISIONS = "|".join(get_args(Precision))

_STATES = "running|completed|interrupted|failed|killed"

RUNS_SCHEMA = pa.schema(
    [
        required("run_id", TEXT, "", "id of the run; it sorts by time"),
        required("state", TEXT, _STATES, "how the run stands or ended"),
        described(
            "made",
            TEXT,
            "scores|transcripts",
            "table in which clips got rows; null: scores",
        ),
        required("source", TEXT, "", "corpus: folder, file, bucket or manifest"),
        *MODEL_FIELDS,
        required("coverage", TEXT, "first|full", "what was scored: the first 12 s, or all windows"),
        required("precision", TEXT, PRECISIONS, "arithmetic that was asked for"),
        required("started_at", TIME, "UTC", "start of the run"),
        described("finished_at", TIME, "UTC", "end of the run; null while it goes on"),
        described("num_listed", pa.int64(), "clips", "clips in the corpus"),
        described("num_scored", pa.int64(), "clips", "clips that this run wrote scores of"),
        described("num_rejected", pa.int64(), "clips", "clips that this run rejected"),
        described("num_skipped", pa.int64(), "clips", "clips that had a row before the run"),
        described(
            "passed_over",
            pa.map_(TEXT, pa.int64()),
            "files",
            "files and folders of the source that are no clips, by suffix or kind",
        ),
        described("num_adopted", pa.int64(), "clips", "copied from a file of equal content"),
        described("reasons", pa.map_(TEXT, pa.int64()), "clips", "rejected clips by reason"),
        described(
            "flags", pa.map_(TEXT, pa.int64()), "clips", "clips by warning about their inputs"
        ),
        described("nodes", pa.map_(TEXT, pa.int64()), "clips", "scored clips by machine"),
        described(
            "numerics", pa.map_(TEXT, pa.int64()), "clips", "scored clips by arithmetic used"
        ),
        described("list_seconds", DOUBLE, "s", "time to list the corpus and find what is missing"),
        described("extract_seconds", DOUBLE, "s", "time to extract audio, summed over processes"),
        described(
            "transcribe_seconds",
            DOUBLE,
            "s",
            "time to transcribe, summed over processes",
        ),
        described("score_seconds", DOUBLE, "s", "time to score, summed over processes"),
        described("commit_seconds", DOUBLE, "s", "time to write the results"),
        described("wall_seconds", DOUBLE, "s", "time from start to end of the run"),
        described("audio_seconds", DOUBLE, "s", "duration of the audio that was scored"),
        described("audio_hours_per_hour", DOUBLE, "h/h", "hours of audio scored an hour"),
        described("padding_share", DOUBLE, "0..1", "share of the model's input that was padding"),
        described("versions", pa.map_(TEXT, TEXT), "", "versions of the software"),
        described("commit", TEXT, "", "git commit of this project, if it runs from a checkout"),
        described("message", TEXT, "", "what ended a run that was not completed"),
    ]
)
