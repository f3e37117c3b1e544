"""The Arrow schemas of the registers: labels, evaluations, decisions, ablations.

A register is a table of small files of which none is ever changed or replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from emi_model.errors import StoreError
from emi_model.targets import VAD_DIMENSIONS, column_name
from tasks.schema.fields import DOUBLE, FLOAT, TEXT, TIME, checked, described
from tasks.schema.runs import RUNS_SCHEMA
from tasks.schema.scores import scores_schema, timeline_schema, windows_schema
from tasks.schema.tables import (
    ABLATIONS,
    DECISIONS,
    EVALUATIONS,
    LABELS,
    RUNS,
    SCORES,
    TIMELINE,
    WINDOWS,
)

MEAN = "mean"
"""Stands in a column ``target`` for the mean over the targets."""

SPLITS_UNIT = "train|valid|test"
_SHARE, _COUNT = "0..1", pa.int64()
_COMMIT = described("commit", TEXT, "", "git commit of this project; null outside a checkout")
_SPLIT_HASH = described(
    "split_sha256", TEXT, "hex", "hash of which content is in which split", nullable=False
)
_SNAPSHOT = described("snapshot", TEXT, "hex", "id of the label snapshot", nullable=False)


def labels_schema(targets: Sequence[str]) -> pa.Schema:
    """Return the schema of the labels: one row a clip that a snapshot added or corrected."""
    return pa.schema(
        [
            described(
                "clip_id", TEXT, "", "path of the clip below the corpus root", nullable=False
            ),
            described("content_sha256", TEXT, "hex", "hash of the file", nullable=False),
            described("speaker", TEXT, "", "who speaks; null if nobody said"),
            described("split", TEXT, SPLITS_UNIT, "what the clip is for", nullable=False),
            *(
                described(column_name(target), FLOAT, _SHARE, f"label, {target}", nullable=False)
                for target in targets
            ),
            *(
                described(dimension, FLOAT, _SHARE, f"label, {dimension}; null if nobody rated it")
                for dimension in VAD_DIMENSIONS
            ),
            _SNAPSHOT,
            described("parent", TEXT, "hex", "snapshot before it; null in the first"),
            described("number", pa.int32(), "1..", "place in the chain", nullable=False),
            described("added_at", TIME, "UTC", "when the snapshot was made", nullable=False),
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
        described("evaluation_id", TEXT, "", "the evaluation; a row a target", nullable=False),
        described("evaluated_at", TIME, "UTC", "", nullable=False),
        described("model", TEXT, "", "name or reference of the model", nullable=False),
        described("model_sha256", TEXT, "hex", "hash of its config and weights", nullable=False),
        _SNAPSHOT,
        described("split", TEXT, SPLITS_UNIT, "clips it was evaluated on", nullable=False),
        _SPLIT_HASH,
        described("target", TEXT, "", f"the target, or {MEAN!r} over them", nullable=False),
        described("num_labelled", _COUNT, "clips", "labelled in the split", nullable=False),
        described("num_clips", _COUNT, "clips", "evaluated", nullable=False),
        described("num_missing", _COUNT, "clips", "labelled, but without a score", nullable=False),
        described(
            "num_trained_on", _COUNT, "clips", "that trained the model; null if it does not say"
        ),
        described(
            "num_held_out", _COUNT, "clips", "of no use to its training; null if it does not say"
        ),
        described("num_speakers", _COUNT, "", "speakers of these clips; null if unknown"),
        *_with_interval("pearson", "-1..1", "Pearson's correlation"),
        *_with_interval("ccc", "-1..1", "concordance correlation coefficient"),
        *_with_interval("mae", _SHARE, "mean absolute error"),
        *_with_interval("rmse", _SHARE, "root of the mean squared error"),
        described("interval_level", DOUBLE, _SHARE, "level of the bootstrap intervals"),
        described("num_resamples", _COUNT, "", "resamples of the bootstrap"),
        described(
            "coverage",
            DOUBLE,
            _SHARE,
            "held-out labels within their conformal interval; null without",
        ),
        described("coverage_level", DOUBLE, _SHARE, "share that the interval promises"),
        _COMMIT,
    ]
)
"""One row a target and evaluation, and one for their mean."""

DECISIONS_SCHEMA = pa.schema(
    [
        described("decision_id", TEXT, "", "the decision", nullable=False),
        described("decided_at", TIME, "UTC", "", nullable=False),
        described("name", TEXT, "", "registered model that was decided on", nullable=False),
        described("champion", TEXT, "", "its version before; null if there was none"),
        described("champion_sha256", TEXT, "hex", "hash of the champion"),
        described("challenger", TEXT, "", "version that wanted to be champion"),
        described("challenger_sha256", TEXT, "hex", "hash of the challenger"),
        _SNAPSHOT,
        _SPLIT_HASH,
        described("num_clips", _COUNT, "clips", "validation clips both were evaluated on"),
        described("num_speakers", _COUNT, "", "speakers of these clips; null if unknown"),
        described("champion_pearson", DOUBLE, "-1..1", "mean over the targets; null if undefined"),
        described("challenger_pearson", DOUBLE, "-1..1", "mean over the targets"),
        described("difference", DOUBLE, "-2..2", "challenger minus champion"),
        described("difference_low", DOUBLE, "-2..2", "lower bound of the paired bootstrap"),
        described("level", DOUBLE, _SHARE, "level of the bound"),
        described("margin", DOUBLE, "-2..2", "what the bound had to exceed"),
        described("promoted", pa.bool_(), "", "the challenger became champion", nullable=False),
        described("reason", TEXT, "", "why, in words", nullable=False),
        described("recipe", TEXT, "", "recipe of the challenger"),
        described("seed", _COUNT, "", "seed of its training"),
        _COMMIT,
    ]
)
"""One row a decision, for promotion or against it."""

ABLATIONS_SCHEMA = pa.schema(
    [
        described("ablation", TEXT, "", "the ablation; its cells share it", nullable=False),
        described("cell", TEXT, "", "one configuration of it", nullable=False),
        described("recipe", TEXT, "", "", nullable=False),
        described("backbone", TEXT, "", "where its weights come from", nullable=False),
        described("backbone_licence", TEXT, "SPDX", "licence of these weights"),
        described("global_vector", pa.bool_(), "", "mean of the frames is fused", nullable=False),
        described("regression_head", pa.bool_(), "", "fused by two layers", nullable=False),
        described("lstm", pa.bool_(), "", "LSTM state is fused", nullable=False),
        described("vad_head", pa.bool_(), "", "VAD of each frame is fused", nullable=False),
        described("seed", _COUNT, "", "", nullable=False),
        described("target", TEXT, "", f"the target, or {MEAN!r} over them", nullable=False),
        described("pearson", DOUBLE, "-1..1", "Pearson's correlation; null where undefined"),
        described("ccc", DOUBLE, "-1..1", "concordance correlation; null where undefined"),
        described("mae", DOUBLE, _SHARE, "mean absolute error"),
        described("rmse", DOUBLE, _SHARE, "root of the mean squared error"),
        described("epoch", _COUNT, "1..", "epoch that was kept"),
        described("num_parameters", _COUNT, "", "of the model"),
        described("seconds", DOUBLE, "s", "spent on training"),
        _SNAPSHOT,
        described("split", TEXT, SPLITS_UNIT, "clips it was evaluated on", nullable=False),
        _SPLIT_HASH,
        described("finished_at", TIME, "UTC", "", nullable=False),
        _COMMIT,
    ]
)
"""One row a target, seed and configuration, and one for the mean over the targets."""

REGISTER_SCHEMAS: Mapping[str, pa.Schema] = {
    LABELS: labels_schema(()),
    EVALUATIONS: EVALUATIONS_SCHEMA,
    DECISIONS: DECISIONS_SCHEMA,
    ABLATIONS: ABLATIONS_SCHEMA,
}
"""Labels have a column more a target."""

TABLE_SCHEMAS: Mapping[str, pa.Schema] = {
    SCORES: scores_schema(),
    TIMELINE: timeline_schema(),
    WINDOWS: windows_schema(),
    RUNS: RUNS_SCHEMA,
    **REGISTER_SCHEMAS,
}
"""Of every table's empty part, which gives it its columns before the first row."""


def register_table(register: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows of evaluations, decisions or ablations, fit for `ResultsStore.record`.

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
