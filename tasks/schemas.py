"""The Arrow schemas of everything that is written, in one place, and the check before a write.

Every field carries its unit and meaning in its metadata, where ``DESCRIBE``-like tools and
``pyarrow.parquet.read_schema`` find them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from emi_model.errors import StoreError
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.outcomes import Flag, Reason, Status

SCORES, TIMELINE, WINDOWS, RUNS = "scores", "timeline", "windows", "runs"
COMPANIONS = (TIMELINE, WINDOWS)
"""Tables whose rows belong to a row of scores."""
TABLES = (SCORES, *COMPANIONS, RUNS)

VAD_OF_MEAN = tuple(f"{dimension}_of_mean" for dimension in VAD_DIMENSIONS)

_TEXT, _FLOAT, _DOUBLE = pa.string(), pa.float32(), pa.float64()
_TIME = pa.timestamp("us", tz="UTC")


def _field(
    name: str, kind: pa.DataType, unit: str, meaning: str, *, nullable: bool = True
) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit, "description": meaning})


def _scores(targets: Sequence[str]) -> list[pa.Field]:
    return [
        _field(column_name(target), _FLOAT, "0..1", f"EMI score, {target}; null without a score")
        for target in targets
    ]


def _vad(meaning: str, suffix: str = "") -> list[pa.Field]:
    return [
        _field(dimension + suffix, _FLOAT, "about 0..1, unbounded", f"{dimension}: {meaning}")
        for dimension in VAD_DIMENSIONS
    ]


_IDENTITY = [
    _field("clip_id", _TEXT, "", "path of the clip below the corpus root", nullable=False),
]

_MODEL = [
    _field("model", _TEXT, "", "name of the model", nullable=False),
    _field("model_sha256", _TEXT, "hex", "hash of its config and weights", nullable=False),
]

_RUN = [
    _field("coverage", _TEXT, "first|full", "which part of a clip was scored", nullable=False),
    _field("run_id", _TEXT, "", "run that wrote the row", nullable=False),
]

_FILE = [
    *_IDENTITY,
    _field("uri", _TEXT, "", "where the clip was found", nullable=False),
    _field("content_sha256", _TEXT, "hex", "hash of the file; null if it could not be read"),
    _field("bytes", pa.int64(), "bytes", "size of the file"),
    _field("modified_ns", pa.int64(), "ns since 1970", "modification time of the file"),
]

_OUTCOME = [
    _field("status", _TEXT, "scored|rejected", "outcome", nullable=False),
    _field("reason", _TEXT, "|".join(Reason), "why it was rejected; null if scored"),
    _field("detail", _TEXT, "", "the tool's own words on a rejection"),
]

_AUDIO = [
    _field("duration_seconds", _DOUBLE, "s", "audio decoded; a truncated clip is longer"),
    _field("declared_seconds", _DOUBLE, "s", "duration that the audio track declares"),
    _field("scored_seconds", _DOUBLE, "s", "audio that the scores are made of"),
    _field("num_frames", pa.int64(), "frames of 20 ms", "backbone frames scored"),
    _field("flags", pa.list_(_TEXT), "|".join(Flag), "what to know of the audio", nullable=False),
    _field("codec", _TEXT, "", "codec of the audio track"),
    _field("sampling_rate", pa.int32(), "Hz", "of the track, before resampling"),
    _field("channels", pa.int32(), "", "of the track, before mixing down"),
    _field("track", pa.int32(), "1..num_tracks", "which audio track was taken"),
    _field("num_tracks", pa.int32(), "", "audio tracks in the file"),
    _field("rms_dbfs", _DOUBLE, "dBFS", "RMS level, not below -100"),
    _field("peak_dbfs", _DOUBLE, "dBFS", "peak level, not below -100"),
    _field("silent_fraction", _DOUBLE, "0..1", "share of 20 ms stretches below -60 dBFS"),
]

_WAVEFORM = pa.field("waveform", pa.large_binary())

TIMELINE_ITEM = pa.struct(
    [
        _field("second", pa.int32(), "s", "start of the second", nullable=False),
        *_vad("mean of the frame VAD within the second"),
        _field("num_frames", pa.int32(), "frames of 20 ms", "frames within it", nullable=False),
    ]
)


def window_item(targets: Sequence[str]) -> pa.StructType:
    """Return what is kept of one window of a clip."""
    return pa.struct(
        [
            _field("window_index", pa.int32(), "", "0 for the first", nullable=False),
            _field("start_seconds", _DOUBLE, "s", "start of the window", nullable=False),
            _field("end_seconds", _DOUBLE, "s", "its end, exclusive", nullable=False),
            _field("num_frames", pa.int32(), "frames of 20 ms", "backbone frames", nullable=False),
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
    _field("extract_seconds", _DOUBLE, "s", "spent on extracting the clip"),
    _field("score_seconds", _DOUBLE, "s", "spent on scoring it, its share of a block"),
    _field("model_samples", pa.int64(), "samples", "of the whole block, in its first row"),
    _field("padded_samples", pa.int64(), "samples", "of the whole block, with padding"),
)
"""What a row cost, on its way from the workers to the store."""


def costed_schema(targets: Sequence[str]) -> pa.Schema:
    """Return the schema of rows that workers give: `scored_schema` and what the row cost."""
    return pa.schema([*scored_schema(targets), *COSTS])


def scores_schema(targets: Sequence[str] = EMI_TARGETS) -> pa.Schema:
    """Return the schema of the scores table: one row a clip, model and coverage."""
    scored_at = _field("scored_at", _TIME, "UTC", "when the row was made", nullable=False)
    licence = _field("backbone_licence", _TEXT, "SPDX", "licence of the weights the model comes of")
    return pa.schema([*_score_columns(targets), *_MODEL, licence, *_RUN, scored_at])


def timeline_schema() -> pa.Schema:
    """Return the schema of the timeline table: one row a second of a clip."""
    return pa.schema([*_IDENTITY, *TIMELINE_ITEM, *_MODEL, *_RUN])


def windows_schema(targets: Sequence[str] = EMI_TARGETS) -> pa.Schema:
    """Return the schema of the windows table: one row a window of a clip (full coverage)."""
    return pa.schema([*_IDENTITY, *window_item(targets), *_MODEL, *_RUN])


RUNS_SCHEMA = pa.schema(
    [
        _field("run_id", _TEXT, "", "the run", nullable=False),
        _field("state", _TEXT, "running|completed|interrupted|failed|killed", "", nullable=False),
        _field("source", _TEXT, "", "corpus that was listed", nullable=False),
        *_MODEL,
        _field("coverage", _TEXT, "first|full", "which part of a clip was scored", nullable=False),
        _field("precision", _TEXT, "auto|fp32", "numerics asked for", nullable=False),
        _field("started_at", _TIME, "UTC", "", nullable=False),
        _field("finished_at", _TIME, "UTC", "null while it runs"),
        _field("num_listed", pa.int64(), "clips", "found in the source"),
        _field("num_scored", pa.int64(), "clips", "rows with scores that this run wrote"),
        _field("num_rejected", pa.int64(), "clips", "rejection rows that this run wrote"),
        _field("num_skipped", pa.int64(), "clips", "done before"),
        _field("num_adopted", pa.int64(), "clips", "of these rows, taken over from equal content"),
        _field("reasons", pa.map_(_TEXT, pa.int64()), "clips", "rejections by reason"),
        _field("list_seconds", _DOUBLE, "s", "listing the corpus and planning"),
        _field("extract_seconds", _DOUBLE, "s", "extraction, summed over workers"),
        _field("score_seconds", _DOUBLE, "s", "scoring, summed over workers"),
        _field("commit_seconds", _DOUBLE, "s", "committing parts"),
        _field("wall_seconds", _DOUBLE, "s", "the whole run"),
        _field("audio_seconds", _DOUBLE, "s", "audio scored"),
        _field("audio_hours_per_hour", _DOUBLE, "h/h", "audio scored over the whole run's time"),
        _field("padding_share", _DOUBLE, "0..1", "share of padding in what the model saw"),
        _field("versions", pa.map_(_TEXT, _TEXT), "", "this project, Python, torch, ffmpeg, ..."),
        _field("commit", _TEXT, "", "git commit of this project, if it runs from a checkout"),
        _field("message", _TEXT, "", "what ended a run that did not complete"),
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
        if field.type == _FLOAT and not pc.all(pc.is_finite(column), min_count=0).as_py():
            raise StoreError(f"column {field.name} holds a value that is not finite")
        if (field.metadata or {}).get(b"unit") == b"0..1":
            inside = pc.and_(pc.greater_equal(column, 0), pc.less_equal(column, 1))
            _require(inside, f"a value of {field.name} outside 0..1")
    if "reason" in schema.names:
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
        *_vad("mean of the frame VAD"),
        *_vad("VAD of the mean frame", "_of_mean"),
        *_AUDIO,
    ]
