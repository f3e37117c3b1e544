"""Somebody else's predictions, from a file, on the metrics that a model gets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np

from emi_model.arrays import Doubles
from emi_model.errors import LabelError
from emi_model.targets import column_name
from tasks.evaluation.evaluate import evaluate_predictions
from tasks.evaluation.report import EvaluationReport
from tasks.labels.label_file import ClipLabels, LabelFile
from tasks.labels.label_set import LabelSet
from tasks.labels.label_values import number_in
from tasks.labels.matching import match_labels
from tasks.storage.open import open_file
from tasks.storage.table_file import TableFile, read_table_file

_NAMES = ("filename", "clip_id")
NO_PREDICTION = "no prediction in the file"


def evaluate_file(
    path: str, labels: LabelSet, split: str, *, scale: float = 1.0
) -> EvaluationReport:
    """Return the figures of predictions in a table, on the labelled clips of a split.

    Args:
        path: CSV or Parquet with ``filename`` (or ``clip_id``) and a column of numbers a target;
            rows of other clips, and other columns, are passed over.
        labels: what the clips are labelled by.
        split: whose clips count; one without a prediction of every target is missing.
        scale: the number that stands for 1.

    Raises:
        LabelError: the file cannot be read, lacks a column, names a clip twice or ambiguously, or
            holds no clip of the split.
    """
    try:
        table = read_table_file(path)
        folder, name = open_file(path)
        content = folder.read(name)
    except (OSError, ValueError) as error:
        raise LabelError(f"cannot read the predictions {path}: {error}") from error
    found = _by_clip(path, table, _numbers(path, table, labels.targets, scale), labels)
    own = labels.of_split(split)
    clips = [row for row in own if row.clip_id in found]
    return evaluate_predictions(
        np.array([found[row.clip_id] for row in clips]).reshape(len(clips), len(labels.targets)),
        clips,
        model=PurePosixPath(path).name,
        model_sha256=hashlib.sha256(content).hexdigest(),
        targets=labels.targets,
        labels=labels,
        split=split,
        missing={row.clip_id: NO_PREDICTION for row in own if row.clip_id not in found},
    )


def _numbers(
    path: str, table: TableFile, targets: tuple[str, ...], scale: float
) -> dict[int, tuple[str, Doubles]]:
    """Return the clip's name and its predictions (T,) by line, of rows where all are numbers."""
    header = [column_name(name) for name in table.header]
    named = next((header.index(name) for name in _NAMES if name in header), None)
    wanted = [column_name(target) for target in targets]
    lacking = [target for target in wanted if header.count(target) != 1]
    if named is None or lacking:
        lacking = lacking if named is not None else [" or ".join(_NAMES), *lacking]
        shown = ", ".join(table.header)[:200]
        raise LabelError(
            f"{path}: lacks one column {', '.join(lacking)}: found {shown}, expected the clips' "
            f"names and {', '.join(targets)}"
        )
    places = [header.index(name) for name in wanted]
    found = {}
    for line, cells in table.rows:
        if len(cells) != len(header):
            raise LabelError(f"{path}: line {line} has {len(cells)} cells, expected {len(header)}")
        numbers = [number_in(cells[place]) for place in places]
        values = np.array([np.nan if one is None else one / scale for one in numbers], np.float64)
        if np.isfinite(values).all():
            found[line] = (cells[named].strip(), values)
    return found


def _by_clip(
    path: str, table: TableFile, numbers: Mapping[int, tuple[str, Doubles]], labels: LabelSet
) -> dict[str, Doubles]:
    """Return the predictions by clip id, of the clips that are labelled.

    Raises:
        LabelError: a name may be that of several clips, or a clip is named twice.
    """
    empty = np.zeros(0, np.float32)
    rows = (ClipLabels(line, name, empty, None, "", "") for line, (name, _) in numbers.items())
    file = LabelFile(path, table.counted_in, labels.targets, tuple(rows))
    matched = match_labels(file, [row.clip_id for row in labels.clips])
    problems = [found for found in matched.problems if not found.text.startswith("no clip ")]
    if problems:
        raise file.error(problems)
    return {clip_id: numbers[row.line][1] for clip_id, row in matched.labels.items()}
