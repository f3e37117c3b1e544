"""The Arrow schemas of everything that is written, in one place, and the check before a write.

Every field carries its unit and meaning in its metadata, where ``DESCRIBE``-like tools and
``pyarrow.parquet.read_schema`` find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc

from emi_model.config import Numerics, Precision
from emi_model.errors import StoreError
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.outcomes import Flag, Reason, Status

SCORES, TIMELINE, WINDOWS, RUNS = "scores", "timeline", "windows", "runs"
LABELS, EVALUATIONS, DECISIONS, ABLATIONS = "labels", "evaluations", "decisions", "ablations"
COMPANIONS = (TIMELINE, WINDOWS)
"""Tables whose rows belong to a row of scores."""
REGISTERS = (LABELS, EVALUATIONS, DECISIONS, ABLATIONS)
"""Tables of small files that are never changed; their schemas stand in `tasks.registers`."""
TABLES = (SCORES, *COMPANIONS, RUNS, *REGISTERS)

VAD_OF_MEAN = tuple(f"{dimension}_of_mean" for dimension in VAD_DIMENSIONS)

TEXT, FLOAT, DOUBLE = pa.string(), pa.float32(), pa.float64()
TIME = pa.timestamp("us", tz="UTC")
PRECISIONS, COMPUTED_IN = "|".join(get_args(Precision)), "|".join(get_args(Numerics))


def described(
    name: str, kind: pa.DataType, unit: str, meaning: str, *, nullable: bool = True
) -> pa.Field:
    """Return a field that carries its unit and meaning."""
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit, "description": meaning})


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

_MODEL = [
    described("model", TEXT, "", "name of the model", nullable=False),
    described("model_sha256", TEXT, "hex", "hash of its config and weights", nullable=False),
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
    return pa.schema([*_score_columns(targets), *_MODEL, licence, split, *_RUN, scored_at])


def timeline_schema() -> pa.Schema:
    """Return the schema of the timeline table: one row a second of a clip."""
    return pa.schema([*_IDENTITY, *TIMELINE_ITEM, *_MODEL, *_RUN])


def windows_schema(targets: Sequence[str] = EMI_TARGETS) -> pa.Schema:
    """Return the schema of the windows table: one row a window of a clip (full coverage)."""
    return pa.schema([*_IDENTITY, *window_item(targets), *_MODEL, *_RUN])


RUNS_SCHEMA = pa.schema(
    [
        described("run_id", TEXT, "", "the run", nullable=False),
        described("state", TEXT, "running|completed|interrupted|failed|killed", "", nullable=False),
        described("source", TEXT, "", "corpus that was listed", nullable=False),
        *_MODEL,
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


def checked(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table under exactly this schema, fit to be written.

    Raises:
        StoreError: columns or types differ, or a value is not what its field promises.
    """
    if table.schema.names != schema.names:
        differing = sorted(set(table.schema.names) ^ set(schema.names)) or "their order"
        raise StoreError(f"columns differ from the schema in {differing}")
    try:
        table = table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise StoreError(f"a column does not fit its schema: {error}") from error
    for field, column in zip(schema, table.columns, strict=True):
        if field.type == FLOAT and not pc.all(pc.is_finite(column), min_count=0).as_py():
            raise StoreError(f"column {field.name} holds a value that is not finite")
        if (field.metadata or {}).get(b"unit") == b"0..1":
            inside = pc.and_(pc.greater_equal(column, 0), pc.less_equal(column, 1))
            _require(inside, f"a value of {field.name} outside 0..1")
    if "status" in schema.names:
        _check_outcomes(table)
    return table


def _check_outcomes(table: pa.Table) -> None:
    scored = pc.equal(table["status"], Status.SCORED.value)
    _require(pc.is_in(table["status"], pa.array(list(Status))), "a status that is none")
    _require(pc.xor(scored, pc.is_valid(table["reason"])), "a reason where it should not be")
    known = pc.is_in(table["reason"], pa.array([*Reason, None], pa.string()))
    _require(known, "a reason that is not enumerated")
    flags = pc.list_flatten(table["flags"])
    _require(pc.is_in(flags, pa.array(list(Flag), pa.string())), "a flag that is none")


def _require(condition: pa.ChunkedArray, found: str) -> None:
    if not pc.all(condition, min_count=0).as_py():
        raise StoreError(f"found {found}: the part was not written")


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
