"""Label files: a table of clips and their labels, CSV or Parquet.

The challenge's header is ``Filename,Admiration,Amusement,Determination,Empathic Pain,Excitement,
Joy``. Case, spaces and the order of the columns do not matter. ``speaker``, ``split`` and
``arousal``, ``dominance``, ``valence`` (all three or none) are optional; every other column is a
target.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emi_model.arrays import Floats
from emi_model.errors import LabelError
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.labels.splits import SPLITS
from tasks.schema.registers import MEAN, labels_schema
from tasks.schema.scores import bound_columns, scores_schema, timeline_schema, windows_schema
from tasks.storage.table_file import TableFile, read_table_file

FILENAME, SPEAKER, SPLIT = "filename", "speaker", "split"
KNOWN_COLUMNS = {FILENAME, SPEAKER, SPLIT, *VAD_DIMENSIONS}
_STORED = (labels_schema(()), scores_schema(()), timeline_schema(), windows_schema(()))
RESERVED = {*(name for schema in _STORED for name in schema.names), FILENAME, MEAN, ""}
"""No target may have one of these columns: the store has them already."""

MOST_OF_THE_CHALLENGES = 4
"""Targets of the challenge's six: a file with these and no other has lost a column."""


class Problem(NamedTuple):
    """What is wrong in a line of a label file; the header is line 1 of a CSV."""

    line: int
    text: str


@dataclass(frozen=True, eq=False)
class ClipLabels:
    """One row of a label file.

    Attributes:
        line: Where it stands.
        filename: As written: a path below the corpus root, or only a clip's name, with or without
            its suffix. Never a number: the challenge's ids start with zeros.
        emi: (targets,) in [0, 1]; NaN where the file has a problem.
        vad: (3,) arousal, dominance, valence in [0, 1]; None in a file without these columns.
        speaker: Who speaks; empty where the file has none.
        split: ``train``, ``valid`` or ``test``; empty where the file has none.
    """

    line: int
    filename: str
    emi: Floats
    vad: Floats | None
    speaker: str
    split: str


@dataclass(frozen=True)
class LabelFile:
    """A label file as it was read, with all that is wrong with it.

    Attributes:
        path: Where it lies: a path, or ``s3://`` and the like.
        counted_in: What its lines are called: ``line`` of a CSV, ``row`` of a Parquet file.
        targets: In the order of the values: the challenge's own names and order if these are its
            six, else as the file or the caller spells them.
        rows: In the order of the file.
        problems: Of the file itself, without those that a comparison with the corpus finds.
    """

    path: str
    counted_in: str
    targets: tuple[str, ...] = ()
    rows: tuple[ClipLabels, ...] = ()
    problems: tuple[Problem, ...] = ()

    def error(self, problems: Iterable[Problem]) -> LabelError:
        """Return the error that lists every problem by its line."""
        listed = "".join(
            f"\n  {self.counted_in} {problem.line}: {problem.text}" for problem in sorted(problems)
        )
        return LabelError(f"the label file {self.path} cannot be used, correct it:{listed}")


@dataclass(frozen=True)
class _Columns:
    """Which column is what; ``problems`` are those of the header."""

    names: list[str]
    targets: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)

    @property
    def numeric(self) -> list[str]:
        """Columns of the values: the targets', then VAD where the file has it."""
        vad = VAD_DIMENSIONS if any(name in self.names for name in VAD_DIMENSIONS) else ()
        return [*map(column_name, self.targets), *vad]


def read_label_file(path: str | Path, targets: Sequence[str] = ()) -> LabelFile:
    """Return a label file with its problems.

    Args:
        path: A CSV in UTF-8, or Parquet, on a disk or in a bucket; what it is decides, not its
            suffix.
        targets: The columns to take as targets; without any, all that are nothing else.

    Raises:
        LabelError: The file cannot be read at all.
    """
    table = _read_table(str(path))
    columns = _sort_columns(table.header, targets)
    problems = list(columns.problems)
    if not table.rows:
        problems.append(Problem(1, "no rows, expected a header and a row a clip"))
    rows = []
    if not columns.problems or columns.names.count(FILENAME) == 1:
        for number, cells in table.rows:
            row, found = _read_row(number, cells, columns)
            problems += found
            if row is not None:
                rows.append(row)
    return LabelFile(str(path), table.counted_in, columns.targets, tuple(rows), tuple(problems))


def read_labels(path: str | Path, targets: Sequence[str] = ()) -> LabelFile:
    """Return a label file without problems.

    Raises:
        LabelError: It cannot be read, or has problems; the message lists them by line.
    """
    file = read_label_file(path, targets)
    if file.problems:
        raise file.error(file.problems)
    return file


def _read_table(path: str) -> TableFile:
    try:
        table = read_table_file(path)
    except ValueError as error:
        raise LabelError(f"cannot read the label file {path}: {error}") from error
    for name, kind in table.numeric.items():
        if column_name(name) == FILENAME:
            raise LabelError(
                f"{path}: the column {name} is {kind}, expected text: as numbers, ids lose their "
                "zeros"
            )
    return table


def _sort_columns(header: Sequence[str], wanted: Sequence[str]) -> _Columns:
    names = [column_name(name) for name in header]
    spelled = {column_name(name): name.strip() for name in header}
    targets = tuple(wanted) or tuple(
        spelled[name] for name in dict.fromkeys(names) if name not in KNOWN_COLUMNS
    )
    own = set(map(column_name, targets))
    challenge = dict(zip(map(column_name, EMI_TARGETS), EMI_TARGETS, strict=True))
    lost = not wanted and own < set(challenge) and len(own) >= MOST_OF_THE_CHALLENGES
    if lost or own == set(challenge):
        targets = EMI_TARGETS
    columns = _Columns(names, targets)
    problems = [
        f"{names.count(name)} columns {name!r}, expected one"
        for name in dict.fromkeys((FILENAME, *columns.numeric))
        if names.count(name) != 1
    ]
    problems += [
        f"{names.count(name)} columns {name!r}, expected at most one"
        for name in (SPEAKER, SPLIT)
        if names.count(name) > 1
    ]
    problems += _unusable(targets)
    columns.problems.extend(Problem(1, text) for text in problems)
    return columns


def _unusable(targets: Sequence[str]) -> list[str]:
    """Return what is wrong with the targets' names."""
    if not targets:
        return ["no column of a target"]
    columns = [column_name(target) for target in targets]
    taken = {*RESERVED, *bound_columns(targets)}
    problems = [
        f"no target can be called {target!r}, choose another name"
        for target, column in zip(targets, columns, strict=True)
        if column in taken
    ]
    twice = {column for column in columns if columns.count(column) > 1}
    return problems + [f"the target {column!r} is named twice" for column in sorted(twice)]


def _read_row(
    number: int, cells: Sequence[str], columns: _Columns
) -> tuple[ClipLabels | None, list[Problem]]:
    """Return a row's labels, as far as they can be read, and its problems."""
    if len(cells) != len(columns.names):
        return None, [Problem(number, f"{len(cells)} cells, expected {len(columns.names)}")]
    row = dict(zip(columns.names, (cell.strip() for cell in cells), strict=True))
    values = {name: _share(row[name]) for name in columns.numeric if name in row}
    problems = [] if row[FILENAME] else [f"no {FILENAME}"]
    problems += [
        f"{name} is {row[name]!r}, expected a number from 0 to 1"
        for name, value in values.items()
        if np.isnan(value)
    ]
    split = row.get(SPLIT, "").lower()
    if split and split not in SPLITS:
        problems.append(f"split is {row[SPLIT]!r}, expected {', '.join(SPLITS)} or nothing")
        split = ""
    vad = [values.pop(name) for name in VAD_DIMENSIONS if name in values]
    labels = ClipLabels(
        line=number,
        filename=row[FILENAME],
        emi=np.array(list(values.values()), dtype=np.float32),
        vad=np.array(vad, dtype=np.float32) if vad else None,
        speaker=row.get(SPEAKER, ""),
        split=split,
    )
    return labels if row[FILENAME] else None, [Problem(number, text) for text in problems]


def _share(text: str) -> float:
    """Return a number in [0, 1]; NaN for anything else."""
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if 0.0 <= value <= 1.0 else float("nan")
