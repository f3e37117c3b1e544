"""SEWA as the AVEC challenges of 2017 to 2019 give it: labels every 0.1 s."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.datasets.layout import RATED_AROUSAL, RATED_VALENCE, DatasetClip, dimensions
from tasks.datasets.over_time.seconds import (
    Labels,
    number_or_none,
    on_scale,
    per_second,
    until,
    windows,
)
from tasks.datasets.tree import TableRow, Tree
from tasks.labels.splits import TEST, TRAIN, VALID

_LIKING = "Liking"
SEWA_TARGETS = (RATED_AROUSAL, RATED_VALENCE, _LIKING)
_COLUMNS = ("arousal", "valence", "liking")
_SPLITS = {"Train": TRAIN, "Devel": VALID, "Test": TEST}
_NAME = re.compile(r"(Train|Devel|Test)_(?:[A-Z]{2}_)?\d+")
_TIMES = ("timestamp", "time")
_UNNAMED = ("name", _TIMES[0], *_COLUMNS)
"""Columns of the files of AVEC 2017, which have no header."""


def read_sewa(tree: Tree) -> Iterator[DatasetClip]:
    """Yield windows of the recordings that ``labels/Train_DE_01.csv`` and the like label.

    Labels go from -1 to 1 and are brought to 0 to 1. A recording is of one person, its name says
    the split.

    Raises:
        LabelError: no such file, or one without the columns.
    """
    for path in tree.paths("labels/*.csv", "*/labels/*.csv"):
        name = _NAME.fullmatch(path.stem)
        if name is not None:
            yield from _windows(tree, path, _SPLITS[name[1]])


def _windows(tree: Tree, path: Path, split: str) -> Iterator[DatasetClip]:
    facts = tree.facts(path.stem)
    if facts is None:
        yield DatasetClip(path.stem, {}, split=split)  # it stands for windows that are missing
        return
    times, values = _read(tree, path)
    kept = until(times, facts.seconds)
    rate = 1 / float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    for window in windows(per_second(times[kept], values[kept], rate), tree.window_seconds):
        arousal, valence, liking = map(number_or_none, window.values)
        rated = dimensions(arousal=arousal, valence=valence)
        yield DatasetClip(
            path.stem,
            rated | {_LIKING: liking},
            speaker=path.stem,
            split=split,
            seconds=(window.start, window.end),
        )


def _read(tree: Tree, path: Path) -> tuple[Labels, Labels]:
    """Return (frames,) times and (frames, 3) labels in [0, 1]."""
    rows = tree.table_at(path, _COLUMNS, _UNNAMED)
    named = [name for name in _TIMES if rows and name in rows[0].cells]
    if not named:
        raise tree.refused(f"{path.name} has no rows with a column timeStamp")
    times = np.array([_cell(row, named[0]) for row in rows])
    labels = np.array([[_cell(row, column) for column in _COLUMNS] for row in rows])
    if np.isnan(times).any() or (np.diff(times) <= 0).any() or times[0] < 0:
        raise tree.refused(f"{path.name}: the times do not ascend from 0 on")
    return times, on_scale(labels, -1, 1)


def _cell(row: TableRow, column: str) -> float:
    number = row.number(column)
    return float("nan") if number is None else number
