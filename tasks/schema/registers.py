"""The Arrow schemas of the registers: labels, evaluations, comparisons, explanations and others.

A register is a table of small files of which none is replaced, but to forget clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from emi_model.errors import StoreError
from emi_model.targets import VAD_DIMENSIONS, column_name
from tasks.schema.comparisons import COMPARED_CLIPS_SCHEMA, COMPARISONS_SCHEMA
from tasks.schema.explanations import EXPLANATIONS_SCHEMA
from tasks.schema.fields import DOUBLE, FLOAT, TEXT, TIME, checked, described, required
from tasks.schema.metadata import clip_metadata_schema, speaker_metadata_schema
from tasks.schema.runs import RUNS_SCHEMA
from tasks.schema.scores import (
    attributions_schema,
    scores_schema,
    timeline_schema,
    windows_schema,
)
from tasks.schema.standing import CURRENT_SCHEMA, FORGOTTEN_SCHEMA, MISSING_SCHEMA
from tasks.schema.tables import (
    ABLATIONS,
    ATTRIBUTIONS,
    CLIP_METADATA,
    COMPARED_CLIPS,
    COMPARISONS,
    CURRENT_MODEL,
    DECISIONS,
    EVALUATIONS,
    EXPLANATIONS,
    FORGOTTEN,
    LABELS,
    MISSING_CLIPS,
    RUNS,
    SCORES,
    SPEAKER_METADATA,
    TIMELINE,
    TRANSCRIPTS,
    WINDOWS,
)
from tasks.schema.transcripts import transcripts_schema

MEAN = "mean"
"""Stands in a column ``target`` for the mean over the targets."""

SPLITS_UNIT = "train|valid|test"
_SHARE, _COUNT = "0..1", pa.int64()
_COMMIT = described("commit", TEXT, "", "git commit of this project; null outside a checkout")
_SPLIT_HASH = required("split_sha256", TEXT, "hex", "hash over which clip is in which split")
_SNAPSHOT = required("snapshot", TEXT, "hex", "id of the label snapshot")


def labels_schema(targets: Sequence[str]) -> pa.Schema:
    """Return the schema of the labels: one row a clip that a snapshot added or corrected."""
    return pa.schema(
        [
            required("clip_id", TEXT, "", "path of the clip's file below the corpus folder"),
            required("content_sha256", TEXT, "hex", "SHA-256 of the file"),
            described("speaker", TEXT, "", "who speaks; null if the label file has none"),
            required("split", TEXT, SPLITS_UNIT, "what the clip is used for"),
            described(
                "num_raters",
                DOUBLE,
                "1..",
                "raters of whom the labels are shares; null if the label file does not say",
            ),
            *(
                described(column_name(target), FLOAT, _SHARE, f"label: {target}; null: not rated")
                for target in targets
            ),
            *(
                described(dimension, FLOAT, _SHARE, f"label: {dimension}; null: not rated")
                for dimension in VAD_DIMENSIONS
            ),
            _SNAPSHOT,
            described("parent", TEXT, "hex", "id of the snapshot before it; null in the first"),
            required("number", pa.int32(), "1..", "number of the snapshot, counted up"),
            required("added_at", TIME, "UTC", "when the snapshot was made"),
        ]
    )


def _with_interval(name: str, unit: str, meaning: str) -> list[pa.Field]:
    return [
        described(name, DOUBLE, unit, f"{meaning}; null where it is undefined"),
        described(f"{name}_low", DOUBLE, unit, f"lower end of the interval of {name}"),
        described(f"{name}_high", DOUBLE, unit, f"upper end of the interval of {name}"),
    ]


EVALUATIONS_SCHEMA = pa.schema(
    [
        required("evaluation_id", TEXT, "", "id of the evaluation; it has a row a target"),
        required("evaluated_at", TIME, "UTC", "when the model was evaluated"),
        required("model", TEXT, "", "name or reference of the model"),
        required("model_sha256", TEXT, "hex", "SHA-256 of the model's config and weights"),
        _SNAPSHOT,
        required("split", TEXT, SPLITS_UNIT, "split whose clips were used"),
        _SPLIT_HASH,
        described(
            "subset",
            TEXT,
            "",
            "which of the clips: under 1 s, no speech, no face, language en; null: all of them",
        ),
        required("target", TEXT, "", f"the target, or {MEAN!r}: the mean over all targets"),
        required("num_labelled", _COUNT, "clips", "clips of the split that have labels"),
        required("num_clips", _COUNT, "clips", "clips that were evaluated"),
        required("num_missing", _COUNT, "clips", "clips that have labels but no score"),
        described(
            "num_trained_on", _COUNT, "clips", "that the model was trained on; null: not recorded"
        ),
        described(
            "num_held_out",
            _COUNT,
            "clips",
            "that had no part in training; null: not recorded",
        ),
        described("num_speakers", _COUNT, "", "speakers in these clips; null: not recorded"),
        *_with_interval("pearson", "-1..1", "Pearson's correlation"),
        *_with_interval("ccc", "-1..1", "concordance correlation coefficient"),
        *_with_interval("mae", _SHARE, "mean absolute error"),
        *_with_interval("rmse", _SHARE, "root of the mean squared error"),
        described("interval_level", DOUBLE, _SHARE, "confidence of the intervals, 0.95 for 95 %"),
        described("num_resamples", _COUNT, "", "times that the bootstrap drew a sample"),
        described("coverage", DOUBLE, _SHARE, "share of unseen labels in the model's own interval"),
        described("coverage_level", DOUBLE, _SHARE, "share that coverage should be"),
        described("asr_model", TEXT, "", "what wrote the text; null: the model reads none"),
        described("asr_sha256", TEXT, "hex", "SHA-256 of that ASR model"),
        _COMMIT,
    ]
)
"""One row a target and evaluation, and one for their mean."""

DECISIONS_SCHEMA = pa.schema(
    [
        required("decision_id", TEXT, "", "id of the decision"),
        required("decided_at", TIME, "UTC", "when it was decided"),
        required("name", TEXT, "", "name of the registered model"),
        described("champion", TEXT, "", "version that was champion before; null if none was"),
        described("champion_sha256", TEXT, "hex", "SHA-256 of that champion"),
        described("challenger", TEXT, "", "new version that was compared with the champion"),
        described("challenger_sha256", TEXT, "hex", "SHA-256 of the challenger"),
        _SNAPSHOT,
        _SPLIT_HASH,
        described("split", TEXT, SPLITS_UNIT, "split whose clips decided; null: earlier version"),
        described(
            "clips_sha256", TEXT, "hex", "hash over the clips that decided; null: earlier version"
        ),
        described("num_clips", _COUNT, "clips", "clips that decided: neither model learnt them"),
        described("num_speakers", _COUNT, "", "speakers in these clips; null: not recorded"),
        described(
            *("champion_pearson", DOUBLE, "-1..1"),
            "mean correlation of the champion; a target that it scores all alike counts 0",
        ),
        described(
            *("challenger_pearson", DOUBLE, "-1..1"),
            "mean correlation of the challenger; a target that it scores all alike counts 0",
        ),
        described("difference", DOUBLE, "-2..2", "challenger's mean correlation minus champion's"),
        described(
            "difference_low", DOUBLE, "-2..2", "lower bound of difference (paired bootstrap)"
        ),
        described("level", DOUBLE, _SHARE, "confidence of that bound, 0.95 for 95 %"),
        described("margin", DOUBLE, "-2..2", "value that the bound had to exceed for a promotion"),
        required("promoted", pa.bool_(), "", "whether the challenger became champion"),
        required("reason", TEXT, "", "why it was decided so, in words"),
        described("recipe", TEXT, "", "recipe that the challenger was trained by"),
        described("seed", _COUNT, "", "random seed of that training"),
        _COMMIT,
    ]
)
"""One row a decision, for promotion or against it."""

ABLATIONS_SCHEMA = pa.schema(
    [
        required("ablation", TEXT, "", "id of the ablation; all its rows share it"),
        required("cell", TEXT, "", "configuration: which part was switched off"),
        required("recipe", TEXT, "", "recipe that was varied"),
        required("backbone", TEXT, "", "model that the backbone's first weights came from"),
        described("backbone_licence", TEXT, "SPDX", "licence of those weights"),
        required("global_vector", pa.bool_(), "", "whether the mean of the frames was used"),
        required("regression_head", pa.bool_(), "", "whether two layers predict, not one"),
        required("lstm", pa.bool_(), "", "whether the LSTM was used"),
        required("vad_head", pa.bool_(), "", "whether the frames' VAD was used"),
        required("seed", _COUNT, "", "random seed of the training"),
        required("target", TEXT, "", f"the target, or {MEAN!r}: the mean over all targets"),
        described("pearson", DOUBLE, "-1..1", "Pearson's correlation; null where undefined"),
        described("ccc", DOUBLE, "-1..1", "concordance correlation; null where undefined"),
        described("mae", DOUBLE, _SHARE, "mean absolute error"),
        described("rmse", DOUBLE, _SHARE, "root of the mean squared error"),
        described("epoch", _COUNT, "1..", "epoch whose weights were kept"),
        described("num_parameters", _COUNT, "", "number of weights in the model"),
        described("seconds", DOUBLE, "s", "duration of the training"),
        _SNAPSHOT,
        required("split", TEXT, SPLITS_UNIT, "split whose clips were used"),
        _SPLIT_HASH,
        required("finished_at", TIME, "UTC", "when the training ended"),
        _COMMIT,
    ]
)
"""One row a target, seed and configuration, and one for the mean over the targets."""

REGISTER_SCHEMAS: Mapping[str, pa.Schema] = {
    LABELS: labels_schema(()),
    EVALUATIONS: EVALUATIONS_SCHEMA,
    DECISIONS: DECISIONS_SCHEMA,
    ABLATIONS: ABLATIONS_SCHEMA,
    EXPLANATIONS: EXPLANATIONS_SCHEMA,
    COMPARISONS: COMPARISONS_SCHEMA,
    COMPARED_CLIPS: COMPARED_CLIPS_SCHEMA,
    CLIP_METADATA: clip_metadata_schema(),
    SPEAKER_METADATA: speaker_metadata_schema(),
    FORGOTTEN: FORGOTTEN_SCHEMA,
}
"""Labels have a column more a target, metadata those of the study."""

TABLE_SCHEMAS: Mapping[str, pa.Schema] = {
    SCORES: scores_schema(),
    TIMELINE: timeline_schema(),
    WINDOWS: windows_schema(),
    ATTRIBUTIONS: attributions_schema(),
    TRANSCRIPTS: transcripts_schema(),
    RUNS: RUNS_SCHEMA,
    MISSING_CLIPS: MISSING_SCHEMA,
    CURRENT_MODEL: CURRENT_SCHEMA,
    **REGISTER_SCHEMAS,
}
"""Of every table's empty part, which gives it its columns before the first row."""


def register_table(register: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows of a register other than labels, fit for `ResultsStore.record`.

    Args:
        register: its name.
        rows: by column; a column that a row lacks is null.

    Raises:
        StoreError: an unknown column, or a value that is not what its field promises.
    """
    schema = REGISTER_SCHEMAS[register]
    rows = list(rows)
    unknown = {name for row in rows for name in row} - set(schema.names)
    if unknown:
        raise StoreError(f"{register} has no column {', '.join(sorted(unknown))}")
    try:
        table = pa.Table.from_pylist(rows, schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise StoreError(f"a value does not fit a column of {register}: {error}") from error
    for field, column in zip(schema, table.columns, strict=True):
        if field.type == DOUBLE and not pc.all(pc.is_finite(column), min_count=0).as_py():
            raise StoreError(f"{register}: {field.name} is not finite: undefined is null")
    return checked(table, schema)
