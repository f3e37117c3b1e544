"""Section: how well models agree with the labels, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.reports.drawing.lines import Interval, intervals
from tasks.reports.page import (
    FigureGroup,
    ReportFigure,
    ReportSection,
    ReportTable,
    clips_between,
    percent,
)
from tasks.reports.questions import Questions
from tasks.schema.registers import MEAN
from tasks.schema.tables import EVALUATIONS

MAX_MODELS = 20
"""The models that were evaluated last."""

_COLUMNS = (
    *("evaluation_id", "evaluated_at", "model", "model_sha256", "split", "subset", "target"),
    *("pearson", "pearson_low", "pearson_high", "ccc", "mae", "rmse", "interval_level"),
    *("num_clips", "num_speakers", "num_trained_on"),
)
_SQL = f"""\
SELECT
    *,
    dense_rank() OVER (ORDER BY newest DESC, model_sha256, split) AS place
FROM (
    SELECT *, max(evaluated_at) OVER (PARTITION BY model_sha256, split) AS newest
    FROM {{evaluations}}
    WHERE subset IS NULL
)
WHERE evaluated_at = newest
QUALIFY place <= {MAX_MODELS}
    AND row_number() OVER (
        PARTITION BY model_sha256, split, target ORDER BY evaluation_id DESC
    ) = 1
ORDER BY place, target"""

NO_EVALUATIONS = (
    "No model was evaluated on labels of this store: emi evaluate --model REF --results DIR "
    "--corpus DIR does it."
)


def models_section(questions: Questions) -> ReportSection:
    """Return the section."""
    rows = questions.rows(_SQL.format(evaluations=questions.columns_of(EVALUATIONS, _COLUMNS)))
    if not rows:
        return ReportSection("models", "Models against labels", missing=[NO_EVALUATIONS])
    of_mean = [row for row in rows if row["target"] == MEAN]
    newest = [row for row in rows if row["place"] == 1 and row["target"] != MEAN]
    figures = [
        _figure("Mean over the targets, by model", of_mean, [_named(row) for row in of_mean])
    ]
    if newest:
        targets = [str(row["target"]) for row in newest]
        figures.append(_figure(f"By target: {_named(newest[0])}", newest, targets))
    return ReportSection(
        "models",
        "Models against labels",
        lead=[
            "Pearson's correlation of scores with labels; the bar is its interval over speakers. "
            "The latest evaluation of each model and split; where clips had a part in the model's "
            "training, the figure says nothing of new clips."
        ],
        tables=[_table(of_mean)],
        groups=[FigureGroup("", figures)],
    )


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['model']} ({row['split']})"


def _figure(title: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> ReportFigure:
    found = [
        Interval(name, row["pearson"], row["pearson_low"], row["pearson_high"])
        for name, row in zip(names, rows, strict=True)
    ]
    level = next((row["interval_level"] for row in rows if row["interval_level"]), None)
    words = "Pearson's correlation" + (f", {percent(level, 0)} interval" if level else "")
    told = ", ".join(
        f"{one.name} {'undefined' if one.value is None else f'{one.value:.2f}'}"
        for one in found[:6]
    )
    table = ReportTable(
        title,
        ["", "Pearson", "low", "high", "CCC", "MAE", "RMSE", "clips"],
        [
            [
                name,
                *(row[column] for column in ("pearson", "pearson_low", "pearson_high")),
                *(row[column] for column in ("ccc", "mae", "rmse", "num_clips")),
            ]
            for name, row in zip(names, rows, strict=True)
        ],
    )
    drawing = intervals(title, f"{words}: {told}.", found, words)
    return ReportFigure(title, drawing, clips_between([row["num_clips"] for row in rows]), table)


def _table(rows: Sequence[Mapping[str, Any]]) -> ReportTable:
    return ReportTable(
        "The mean over the targets",
        [
            "model",
            "split",
            "Pearson",
            "low",
            "high",
            "clips",
            "speakers",
            "trained on",
            "evaluated",
        ],
        [
            [
                *(row[name] for name in ("model", "split", "pearson", "pearson_low")),
                *(row[name] for name in ("pearson_high", "num_clips", "num_speakers")),
                *(row[name] for name in ("num_trained_on", "evaluated_at")),
            ]
            for row in rows
        ],
    )
