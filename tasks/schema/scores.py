"""The Arrow schemas of scores and what belongs to them, and of rows on their way there.

Every field carries its unit and meaning in its metadata, where ``DESCRIBE``-like tools and
``pyarrow.parquet.read_schema`` find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pyarrow as pa

from emi_model.architecture.config import Numerics
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.schema.attributions import ATTRIBUTION_ITEM, WHY
from tasks.schema.fields import DOUBLE, FLOAT, MODEL_FIELDS, TEXT, TIME, described, required
from tasks.schema.outcomes import Flag, Reason

VAD_OF_MEAN = tuple(f"{dimension}_of_mean" for dimension in VAD_DIMENSIONS)

COMPUTED_IN = "|".join(get_args(Numerics))

_END = {"low": "lower", "high": "upper"}


def _scores(targets: Sequence[str]) -> list[pa.Field]:
    return [
        described(column_name(target), FLOAT, "0..1", f"EMI score: intensity of {target}")
        for target in targets
    ]


def _bounds(targets: Sequence[str]) -> list[pa.Field]:
    return [
        described(
            f"{column_name(target)}_{side}",
            FLOAT,
            "0..1",
            f"{_END[side]} end of the interval for nine of ten labels of {target}; null without "
            "calibration, or where several windows were averaged",
        )
        for target in targets
        for side in _END
    ]


def bound_columns(targets: Sequence[str]) -> list[str]:
    """Return the columns of the conformal intervals: ``<target>_low``, ``<target>_high``."""
    return [bound.name for bound in _bounds(targets)]


def target_columns(names: Sequence[str], schema: pa.Schema) -> tuple[str, ...]:
    """Return the columns of targets among those of a table, in their order.

    Args:
        names: of all columns.
        schema: that of the table without targets: its columns are none, nor are bounds.
    """
    found = [name for name in names if name not in schema.names]
    bounds = set(bound_columns(found))
    return tuple(name for name in found if name not in bounds)


def _vad(meaning: str, suffix: str = "") -> list[pa.Field]:
    return [
        described(dimension + suffix, FLOAT, "about 0..1, unbounded", f"{dimension}: {meaning}")
        for dimension in VAD_DIMENSIONS
    ]


_IDENTITY = [
    required("clip_id", TEXT, "", "path of the clip's file below the corpus folder"),
]

_RUN = [
    required("coverage", TEXT, "first|full", "what was scored: the first 12 s, or all windows"),
    required("run_id", TEXT, "", "id of the run that wrote the row"),
]

_FILE = [
    *_IDENTITY,
    required("uri", TEXT, "", "where the file was found: its path or address"),
    described("content_sha256", TEXT, "hex", "SHA-256 of the file; null if it could not be read"),
    described("bytes", pa.int64(), "bytes", "size of the file"),
    described("modified_ns", pa.int64(), "ns since 1970", "modification time of the file"),
]

_OUTCOME = [
    required("status", TEXT, "scored|rejected", "whether the clip got scores"),
    described("reason", TEXT, "|".join(Reason), "why the clip was rejected; null if it was scored"),
    described(
        "detail",
        TEXT,
        "",
        "the reason in the words of the program that failed; of a clip with the flag input_failed, "
        "which input failed and why",
    ),
]

EXTRACTION = 2
"""Version of the rules by which sound is read: increased when the same file gives another sound."""

GAP_ITEM = pa.struct(
    [
        described("start_seconds", DOUBLE, "s", "where the gap begins"),
        described("seconds", DOUBLE, "s", "its length"),
        described("filled_seconds", DOUBLE, "s", "how much of it was scored as silence"),
    ]
)

_AUDIO = [
    described(
        "duration_seconds", DOUBLE, "s", "audio decoded, with filled gaps; truncated: it is longer"
    ),
    described("declared_seconds", DOUBLE, "s", "duration that the audio track declares"),
    described("scored_seconds", DOUBLE, "s", "audio that the scores were computed from"),
    described("num_frames", pa.int64(), "frames of 20 ms", "frames of audio that were scored"),
    required("flags", pa.list_(TEXT), "|".join(Flag), "warnings about the clip's inputs"),
    described("codec", TEXT, "", "audio codec of the track, as ffmpeg names it"),
    described("sampling_rate", pa.int32(), "Hz", "sampling rate of the track, before resampling"),
    described("channels", pa.int32(), "", "channels of the track, before they are mixed to one"),
    described("track", pa.int32(), "1..num_tracks", "which audio track of the file was used"),
    described("num_tracks", pa.int32(), "", "number of audio tracks in the file"),
    described(
        "audio_start_seconds",
        DOUBLE,
        "s",
        "where the sound begins in the recording, which may show pictures before; less than 0.1 s "
        "counts as 0; null: the file does not say",
    ),
    described(
        "gaps",
        pa.list_(GAP_ITEM),
        "s",
        "stretches without sound, from 0.2 s: where each begins after the sound's beginning, its "
        "length, how much of it was scored as silence (at most 10 s)",
    ),
    described(
        "extraction",
        pa.int32(),
        "",
        "version of the rules by which the sound was read; null: the first",
    ),
    described("rms_dbfs", DOUBLE, "dBFS", "mean (RMS) level; silence is given as -100"),
    described("peak_dbfs", DOUBLE, "dBFS", "highest level; silence is given as -100"),
    described("silent_fraction", DOUBLE, "0..1", "share of 20 ms steps below -60 dBFS"),
]

_SEEN = [
    described(
        "num_frames_seen",
        pa.int32(),
        "frames of 0.2 s",
        "pictures of the clip that were searched for a face, five a second, at most 300; null: the "
        "model does not look at faces",
    ),
    described(
        "face_share",
        DOUBLE,
        "0..1",
        "share of these pictures that show a face; null where none was looked for",
    ),
]

_MODALITIES = described(
    "modalities",
    pa.list_(TEXT),
    "audio|...",
    "inputs of the model that the clip had; null where none was looked for, or before there was "
    "this column",
)

_INPUTS = described(
    "inputs",
    pa.list_(
        pa.struct(
            [
                pa.field("modality", TEXT),
                pa.field("dtype", TEXT),
                pa.field("shape", pa.list_(pa.int64())),
                pa.field("data", pa.large_binary()),
            ]
        )
    ),
    "",
    "what the model takes, an item a modality; null if rejected",
)

TIMELINE_ITEM = pa.struct(
    [
        required("second", pa.int32(), "s", "second of the recording, 0 for the first"),
        *_vad("mean over the frames that begin in the second"),
        required("num_frames", pa.int32(), "frames of 20 ms", "frames that begin in the second"),
    ]
)


def window_item(targets: Sequence[str]) -> pa.StructType:
    """Return what is kept of one window of a clip."""
    return pa.struct(
        [
            required("window_index", pa.int32(), "", "number of the window, 0 for the first"),
            required("start_seconds", DOUBLE, "s", "start of the window in the recording"),
            required("end_seconds", DOUBLE, "s", "end of the window in the recording, exclusive"),
            required("num_frames", pa.int32(), "frames of 20 ms", "frames in the window"),
            *_scores(targets),
            *_vad("mean over the frames"),
            *_vad("of the mean frame, as the public model gives it", "_of_mean"),
        ]
    )


EXTRACTED = pa.schema([*_FILE, *_OUTCOME, *_AUDIO, *_SEEN, _MODALITIES, _INPUTS])
"""A clip between extraction and scoring; ``inputs`` are read by `tasks.extraction.inputs`."""


def scored_schema(targets: Sequence[str]) -> pa.Schema:
    """Return the schema of a clip's row as it leaves the scorer: what belongs to it nested."""
    return pa.schema(
        [
            *_score_columns(targets),
            pa.field("timeline", pa.list_(TIMELINE_ITEM)),
            pa.field("windows", pa.list_(window_item(targets))),
            pa.field("attributions", pa.list_(ATTRIBUTION_ITEM)),
        ]
    )


COSTS = (
    described("extract_seconds", DOUBLE, "s", "spent on extracting the clip"),
    described("score_seconds", DOUBLE, "s", "spent on scoring it, its share of a block"),
    described("model_samples", pa.int64(), "samples", "of the whole block, in its first row"),
    described("padded_samples", pa.int64(), "samples", "of the whole block, with padding"),
)
"""What a row cost, on its way from the workers to the store."""

NODE = described("node", TEXT, "", "where it was scored: Ray's node, else the machine; null if not")

NUMERICS = described("numerics", TEXT, COMPUTED_IN, "what its score was computed in, likewise")

WORKED = (NODE, NUMERICS)
"""Where and how a clip was scored."""


def costed_schema(targets: Sequence[str]) -> pa.Schema:
    """Return the schema of rows that workers give: `scored_schema`, a row's cost, where and how."""
    return pa.schema([*scored_schema(targets), *COSTS, *WORKED])


def scores_schema(targets: Sequence[str] = EMI_TARGETS) -> pa.Schema:
    """Return the schema of the scores table: one row a clip, model and coverage."""
    scored_at = required("scored_at", TIME, "UTC", "when the row was computed")
    licence = described(
        "backbone_licence", TEXT, "SPDX", "licence of the weights that the model was trained from"
    )
    split = described(
        "training_split",
        TEXT,
        "train|valid",
        "what the model's training used this clip for; null: nothing",
    )
    asr_key = described(
        "asr_key",
        TEXT,
        "hex",
        "hash of the ASR model and settings whose transcript the model read; null: it reads none",
    )
    of_model = [*MODEL_FIELDS, licence, split, asr_key, WHY]
    return pa.schema([*_score_columns(targets), *of_model, *_RUN, scored_at])


def timeline_schema() -> pa.Schema:
    """Return the schema of the timeline table: one row a second of a clip."""
    return pa.schema([*_IDENTITY, *TIMELINE_ITEM, *MODEL_FIELDS, *_RUN])


def windows_schema(targets: Sequence[str] = EMI_TARGETS) -> pa.Schema:
    """Return the schema of the windows table: one row a window of a clip (full coverage)."""
    return pa.schema([*_IDENTITY, *window_item(targets), *MODEL_FIELDS, *_RUN])


def attributions_schema() -> pa.Schema:
    """Return the schema of the attributions table: one row a contribution to a clip's score."""
    return pa.schema([*_IDENTITY, *ATTRIBUTION_ITEM, *MODEL_FIELDS, *_RUN])


def _score_columns(targets: Sequence[str]) -> list[pa.Field]:
    return [
        *_FILE,
        *_OUTCOME,
        *_scores(targets),
        *_bounds(targets),
        *_vad("mean over the frames"),
        *_vad("of the mean frame, as the public model gives it", "_of_mean"),
        *_AUDIO,
        *_SEEN,
        _MODALITIES,
    ]
