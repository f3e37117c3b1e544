"""Label files: a table of clips and their labels, CSV or Parquet.

The challenge's header is ``Filename,Admiration,Amusement,Determination,Empathic Pain,Excitement,
Joy``. Case, spaces and the order of the columns do not matter. ``speaker``, ``split``,
``num_raters`` and ``arousal``, ``dominance``, ``valence`` (all three or none) are optional; every
other column is a target. An empty cell is a label that is missing; a row without any label is left
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emi_model.arrays import Floats
from emi_model.errors import LabelError
from emi_model.targets import VAD_DIMENSIONS, column_name
from tasks.labels.label_columns import (
    FILENAME,
    NUM_RATERS,
    SPEAKER,
    SPLIT,
    Columns,
    sort_columns,
)
from tasks.labels.label_values import is_missing, number_in, share_of, speaker_name
from tasks.labels.splits import SPLITS
from tasks.storage.table_file import TableFile, read_table_file

MAX_LISTED = 10
"""Problems of a file that its error lists; the others are counted."""


HIGHEST_COUNT = 1_000_000


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
        emi: (targets,) in [0, 1]; NaN where nobody rated it, or the file has a problem.
        vad: (3,) arousal, dominance, valence in [0, 1], NaN as in ``emi``; None where nobody rated
            any of them.
        speaker: Who speaks; empty where the file has none.
        split: ``train``, ``valid`` or ``test``; empty where the file has none.
        num_raters: How many raters its labels are shares of; None where the file does not say.
    """

    line: int
    filename: str
    emi: Floats
    vad: Floats | None
    speaker: str
    split: str
    num_raters: float | None = None


@dataclass(frozen=True)
class LabelFile:
    """A label file as it was read, with all that is wrong with it.

    Attributes:
        path: Where it lies: a path, or ``s3://`` and the like.
        counted_in: What its lines are called: ``line`` of a CSV, ``row`` of a Parquet file.
        targets: In the order of the values: the challenge's own names and order if these are its
            six, else as the file or the caller spells them.
        rows: In the order of the file, those with a label.
        problems: Of the file itself, without those that a comparison with the corpus finds.
        notes: How it was read, as far as that is unusual, and what was left out.
        hint: What may mend the problems; empty where nothing can be said.
    """

    path: str
    counted_in: str
    targets: tuple[str, ...] = ()
    rows: tuple[ClipLabels, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str = ""

    def error(self, problems: Iterable[Problem]) -> LabelError:
        """Return the error that lists the first problems by their line, and counts the others."""
        listed = problem_list(problems, self.counted_in)
        notes = f" ({'; '.join(self.notes)})" if self.notes else ""
        hint = f"\n  {self.hint}" if self.hint else ""
        return LabelError(
            f"the label file {self.path}{notes} cannot be used, correct it:{listed}{hint}"
        )


def problem_list(problems: Iterable[Problem], counted_in: str) -> str:
    """Return the first problems by their line, each on a line of its own, and count the others."""
    ordered = sorted(problems)
    listed = "".join(
        f"\n  {counted_in} {problem.line}: {problem.text}" for problem in ordered[:MAX_LISTED]
    )
    more = len(ordered) - MAX_LISTED
    return listed + (f"\n  and {more} more problems" if more > 0 else "")


def read_label_file(
    path: str | Path, targets: Sequence[str] = (), *, scale: float = 1.0, ignore: Sequence[str] = ()
) -> LabelFile:
    """Return a label file with its problems.

    Args:
        path: CSV or Parquet, on a disk or in a bucket; what it is decides, not its suffix. A CSV
            may be in UTF-8, UTF-16 or CP1252, with commas, semicolons or tabs.
        targets: The columns to take as targets; without any, all that are nothing else.
        scale: The number that stands for 1.
        ignore: Columns to leave out.

    Raises:
        LabelError: The file cannot be read at all.
    """
    table = _read_table(str(path))
    columns = sort_columns(table, targets, ignore)
    problems = [Problem(1, text) for text in columns.problems]
    if not table.rows:
        problems.append(Problem(1, "no rows, expected a header and a row a clip"))
    rows, num_empty = [], 0
    if not problems or columns.names.count(FILENAME) == 1:
        words = _without_numbers(table, columns)
        problems += [Problem(1, f"no cell of {name!r} is a number") for name in words]
        for number, cells in table.rows:
            row, found = _read_row(number, cells, columns, scale, words)
            problems += found
            if row is not None and (found or _has_label(row)):
                rows.append(row)
            num_empty += row is not None and not found and not _has_label(row)
    notes = [*filter(None, [table.dialect]), *columns.notes]
    notes += [f"left out {num_empty} rows without a label"] if num_empty else []
    if num_empty and not rows and not problems:
        problems.append(Problem(1, "no row has a label"))
    return LabelFile(
        str(path),
        table.counted_in,
        columns.targets,
        tuple(rows),
        tuple(problems),
        tuple(notes),
        _hint(table, columns, scale) if problems else "",
    )


def read_labels(path: str | Path, targets: Sequence[str] = ()) -> LabelFile:
    """Return a label file without problems.

    Raises:
        LabelError: It cannot be read, or has problems; the message lists the first by line.
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


def _cells_of(table: TableFile, columns: Columns, name: str) -> list[str]:
    place = columns.names.index(name)
    cells = (row[place] for _, row in table.rows if place < len(row))
    return [cell for cell in cells if not is_missing(cell)]


def _without_numbers(table: TableFile, columns: Columns) -> list[str]:
    """Return the columns of values that hold words: notes, names of raters."""
    found = []
    for name in columns.numeric:
        cells = _cells_of(table, columns, name) if name in columns.names else []
        if len(cells) > 1 and all(number_in(cell) is None for cell in cells):
            found.append(name)
    return found


def _hint(table: TableFile, columns: Columns, scale: float) -> str:
    """Return the options that may mend a file's problems, in words."""
    if words := _without_numbers(table, columns):
        return "leave out what is no label: " + " ".join(f"--ignore {name}" for name in words)
    numbers = [
        number
        for name in columns.numeric
        if name in columns.names
        for number in map(number_in, _cells_of(table, columns, name))
        if number is not None
    ]
    highest, above = max(numbers, default=0.0), sum(number > 1 for number in numbers)
    if scale == 1.0 and 2 * above >= len(numbers) and 1 < highest <= 100:
        likely = 10 if highest <= 10 else 100
        return f"the values go up to {highest:g}: if {likely} stands for 1, add --scale {likely}"
    return ""


def _has_label(row: ClipLabels) -> bool:
    return row.vad is not None or not np.isnan(row.emi).all()


def _read_row(
    number: int, cells: Sequence[str], columns: Columns, scale: float, words: Sequence[str]
) -> tuple[ClipLabels | None, list[Problem]]:
    """Return a row's labels, as far as they can be read, and its problems."""
    if len(cells) != len(columns.names):
        return None, [Problem(number, f"{len(cells)} cells, expected {len(columns.names)}")]
    row = dict(zip(columns.names, (cell.strip() for cell in cells), strict=True))
    texts = {name: row[name] for name in columns.numeric if name in row}
    values = {name: share_of(text, scale) for name, text in texts.items()}
    problems = [] if row[FILENAME] else [f"no {FILENAME}"]
    problems += [
        f"{name} is {texts[name]!r}, expected a number from 0 to {scale:g}"
        for name, value in values.items()
        if np.isnan(value) and not is_missing(texts[name]) and name not in words
    ]
    speaker, split = row.get(SPEAKER, ""), row.get(SPLIT, "").lower()
    speaker, split = ("" if is_missing(cell) else cell for cell in (speaker, split))
    if split and split not in SPLITS:
        problems.append(f"split is {row[SPLIT]!r}, expected {', '.join(SPLITS)} or nothing")
        split = ""
    counted = row.get(NUM_RATERS, "")
    num_raters = None if is_missing(counted) else number_in(counted)
    if not is_missing(counted) and (num_raters is None or not 1 <= num_raters <= HIGHEST_COUNT):
        problems.append(f"{NUM_RATERS} is {counted!r}, expected a number from 1 to {HIGHEST_COUNT}")
        num_raters = None
    vad = np.array([values.pop(name) for name in VAD_DIMENSIONS if name in values], np.float32)
    labels = ClipLabels(
        line=number,
        filename=row[FILENAME],
        emi=np.array(list(values.values()), dtype=np.float32),
        vad=None if np.isnan(vad).all() else vad,
        speaker=speaker_name(speaker),
        split=split,
        num_raters=num_raters,
    )
    return labels if row[FILENAME] else None, [Problem(number, text) for text in problems]
