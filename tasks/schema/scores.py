"""The Arrow schemas of everything that is written, in one place, and the check before a write.

Every field carries its unit and meaning in its metadata, where ``DESCRIBE``-like tools and
``pyarrow.parquet.read_schema`` find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pyarrow as pa

from emi_model.architecture.config import Numerics
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.schema.fields import DOUBLE, FLOAT, MODEL_FIELDS, TEXT, TIME, described
from tasks.schema.outcomes import Flag, Reason

VAD_OF_MEAN = tuple(f"{dimension}_of_mean" for dimension in VAD_DIMENSIONS)

COMPUTED_IN = "|".join(get_args(Numerics))


def _scores(targets: Sequence[str]) -> list[pa.Field]:
    return [
        described(column_name(target), FLOAT, "0..1", f"EMI score, {target}; null without a score")
        for target in targets
    ]


def _bounds(targets: Sequence[str]) -> list[pa.Field]:
    return [
        described(
            f"{column_name(target)}_{side}",
            FLOAT,
            "0..1",
            f"{side} end of the conformal interval of {target}; null without calibration, or where "
            "several windows were averaged",
        )
        for target in targets
        for side in ("low", "high")
    ]


def bound_columns(targets: Sequence[str]) -> list[str]:
    """Return the columns of the conformal intervals: ``<target>_low``, ``<target>_high``."""
    return [bound.name for bound in _bounds(targets)]


def _vad(meaning: str, suffix: str = "") -> list[pa.Field]:
    return [
        described(dimension + suffix, FLOAT, "about 0..1, unbounded", f"{dimension}: {meaning}")
        for dimension in VAD_DIMENSIONS
    ]


_IDENTITY = [
    described("clip_id", TEXT, "", "path of the clip below the corpus root", nullable=False),
]

_RUN = [
    described("coverage", TEXT, "first|full", "which part of a clip was scored", nullable=False),
    described("run_id", TEXT, "", "run that wrote the row", nullable=False),
]

_FILE = [
    *_IDENTITY,
    described("uri", TEXT, "", "where the clip was found", nullable=False),
    described("content_sha256", TEXT, "hex", "hash of the file; null if it could not be read"),
    described("bytes", pa.int64(), "bytes", "size of the file"),
    described("modified_ns", pa.int64(), "ns since 1970", "modification time of the file"),
]

_OUTCOME = [
    described("status", TEXT, "scored|rejected", "outcome", nullable=False),
    described("reason", TEXT, "|".join(Reason), "why it was rejected; null if scored"),
    described("detail", TEXT, "", "the tool's own words on a rejection"),
]

_AUDIO = [
    described("duration_seconds", DOUBLE, "s", "audio decoded; a truncated clip is longer"),
    described("declared_seconds", DOUBLE, "s", "duration that the audio track declares"),
    described("scored_seconds", DOUBLE, "s", "audio that the scores are made of"),
    described("num_frames", pa.int64(), "frames of 20 ms", "backbone frames scored"),
    described("flags", pa.list_(TEXT), "|".join(Flag), "what to know of the audio", nullable=False),
    described("codec", TEXT, "", "codec of the audio track"),
    described("sampling_rate", pa.int32(), "Hz", "of the track, before resampling"),
    described("channels", pa.int32(), "", "of the track, before mixing down"),
    described("track", pa.int32(), "1..num_tracks", "which audio track was taken"),
    described("num_tracks", pa.int32(), "", "audio tracks in the file"),
    described("rms_dbfs", DOUBLE, "dBFS", "RMS level, not below -100"),
    described("peak_dbfs", DOUBLE, "dBFS", "peak level, not below -100"),
    described("silent_fraction", DOUBLE, "0..1", "share of 20 ms stretches below -60 dBFS"),
]

_WAVEFORM = pa.field("waveform", pa.large_binary())

TIMELINE_ITEM = pa.struct(
    [
        described("second", pa.int32(), "s", "start of the second", nullable=False),
        *_vad("mean of the frame VAD within the second"),
        described("num_frames", pa.int32(), "frames of 20 ms", "frames within it", nullable=False),
    ]
)


def window_item(targets: Sequence[str]) -> pa.StructType:
    """Return what is kept of one window of a clip."""
    return pa.struct(
        [
            described("window_index", pa.int32(), "", "0 for the first", nullable=False),
            described("start_seconds", DOUBLE, "s", "start of the window", nullable=False),
            described("end_seconds", DOUBLE, "s", "its end, exclusive", nullable=False),
            described(
                "num_frames", pa.int32(), "frames of 20 ms", "backbone frames", nullable=False
            ),
            *_scores(targets),
            *_vad("mean of the frame VAD"),
            *_vad("VAD of the mean frame", "_of_mean"),
        ]
    )


EXTRACTED = pa.schema([*_FILE, *_OUTCOME, *_AUDIO, _WAVEFORM])
"""A clip between extraction and scoring; ``waveform`` holds int16 samples, 16 kHz mono."""


def scored_schema(targets: Sequence[str]) -> pa.Schema:
    """Return the schema of a clip's row as it leaves the scorer: seconds and windows nested."""
    return pa.schema(
        [
            *_score_columns(targets),
            pa.field("timeline", pa.list_(TIMELINE_ITEM)),
            pa.field("windows", pa.list_(window_item(targets))),
        ]
    )


COSTS = (
    described("extract_seconds", DOUBLE, "s", "spent on extracting the clip"),
    described("score_seconds", DOUBLE, "s", "spent on scoring it, its share of a block"),
    described("model_samples", pa.int64(), "samples", "of the whole block, in its first row"),
    described("padded_samples", pa.int64(), "samples", "of the whole block, with padding"),
)
"""What a row cost, on its way from the workers to the store."""

NODE = described("node", TEXT, "", "Ray node that scored the clip; null without a score")

NUMERICS = described("numerics", TEXT, COMPUTED_IN, "what its score was computed in, likewise")

WORKED = (NODE, NUMERICS)
"""Where and how a clip was scored."""


def costed_schema(targets: Sequence[str]) -> pa.Schema:
    """Return the schema of rows that workers give: `scored_schema`, a row's cost, where and how."""
    return pa.schema([*scored_schema(targets), *COSTS, *WORKED])


def scores_schema(targets: Sequence[str] = EMI_TARGETS) -> pa.Schema:
    """Return the schema of the scores table: one row a clip, model and coverage."""
    scored_at = described("scored_at", TIME, "UTC", "when the row was made", nullable=False)
    licence = described(
        "backbone_licence", TEXT, "SPDX", "licence of the weights the model comes of"
    )
    split = described(
        "training_split",
        TEXT,
        "train|valid",
        "what the model's training used this content for; null: it was not trained on it",
    )
    return pa.schema([*_score_columns(targets), *MODEL_FIELDS, licence, split, *_RUN, scored_at])


def timeline_schema() -> pa.Schema:
    """Return the schema of the timeline table: one row a second of a clip."""
    return pa.schema([*_IDENTITY, *TIMELINE_ITEM, *MODEL_FIELDS, *_RUN])


def windows_schema(targets: Sequence[str] = EMI_TARGETS) -> pa.Schema:
    """Return the schema of the windows table: one row a window of a clip (full coverage)."""
    return pa.schema([*_IDENTITY, *window_item(targets), *MODEL_FIELDS, *_RUN])


def _score_columns(targets: Sequence[str]) -> list[pa.Field]:
    return [
        *_FILE,
        *_OUTCOME,
        *_scores(targets),
        *_bounds(targets),
        *_vad("mean of the frame VAD"),
        *_vad("VAD of the mean frame", "_of_mean"),
        *_AUDIO,
    ]
