"""Label files: a CSV of clips and what raters said of them, read whole or refused whole.

The challenge's header is ``Filename,Admiration,Amusement,Determination,Empathic Pain,Excitement,
Joy``. Case, spaces and the order of the columns do not matter, and there may be more of them:
``arousal``, ``dominance`` and ``valence`` (all or none), ``speaker`` and ``split`` are read too.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from emi_model.errors import LabelError
from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name

Floats = NDArray[np.float32]

FILENAME = "filename"
MAX_LISTED = 20
"""Problems that a message spells out; it counts the others."""


@dataclass(frozen=True, eq=False)
class ClipLabels:
    """One row of a label file.

    Attributes:
        filename: As written: a path below the corpus root, or only a clip's name, with or without
            its suffix. Never a number: the challenge's ids start with zeros.
        emi: (targets,) in [0, 1].
        vad: (3,) arousal, dominance, valence in [0, 1]; None in a file without these columns.
        speaker: Who speaks; empty where the file does not say.
        split: Which part of the corpus the clip is in; empty where the file does not say.
    """

    filename: str
    emi: Floats
    vad: Floats | None
    speaker: str
    split: str


@dataclass(frozen=True)
class Matched:
    """Label rows and clips of a corpus, brought together.

    Attributes:
        labels: By ``clip_id``.
        without_clip: File names in the label file that no clip has.
        without_labels: Ids of the clips that the label file does not know.
    """

    labels: Mapping[str, ClipLabels]
    without_clip: tuple[str, ...]
    without_labels: tuple[str, ...]


def read_labels(path: Path, targets: Sequence[str] = EMI_TARGETS) -> list[ClipLabels]:
    """Return the rows of a label file, in its order.

    Args:
        path: A CSV in UTF-8.
        targets: The EMI columns to read, in the order of the values.

    Raises:
        LabelError: The file cannot be read, or has problems; the message lists them by line.
    """
    columns, lines = _read_lines(path)
    numeric = [column_name(target) for target in targets]
    if any(name in columns for name in VAD_DIMENSIONS):
        numeric += VAD_DIMENSIONS
    problems = [
        f"line 1: {columns.count(name)} columns {name!r}, expected one"
        for name in (FILENAME, *numeric)
        if columns.count(name) != 1
    ]
    if problems:
        raise _error(path, problems)
    read = [_read_line(number, cells, columns, numeric) for number, cells in lines]
    labels = [row for row in read if isinstance(row, ClipLabels)]
    problems = [text for row in read if not isinstance(row, ClipLabels) for text in row]
    problems += _repetitions(labels)
    if problems:
        raise _error(path, problems)
    return labels


def match_labels(labels: Iterable[ClipLabels], clip_ids: Iterable[str]) -> Matched:
    """Bring label rows and clips together: by the whole path, else by the bare name.

    A bare name matches only if one clip and one row alone have it.

    Args:
        labels: Rows of one label file.
        clip_ids: The clips of the corpus.
    """
    waiting = {label.filename: label for label in labels}
    ids = list(clip_ids)
    found = {clip_id: waiting.pop(clip_id) for clip_id in ids if clip_id in waiting}
    bare_labels = _by_stem(waiting)
    bare_clips = _by_stem(clip_id for clip_id in ids if clip_id not in found)
    for stem in bare_labels.keys() & bare_clips.keys():
        found[bare_clips[stem]] = waiting.pop(bare_labels[stem])
    return Matched(
        labels={clip_id: found[clip_id] for clip_id in ids if clip_id in found},
        without_clip=tuple(waiting),
        without_labels=tuple(clip_id for clip_id in ids if clip_id not in found),
    )


def _read_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the columns' names, and the cells of each line that has any, with its number."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first name
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            columns = [column_name(name) for name in next(reader, [])]
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelError(f"cannot read the label file {path}: {error}") from error
    if not lines:
        raise _error(path, ["it has no rows, expected a header and a row a clip"])
    return columns, lines


def _read_line(
    number: int, cells: Sequence[str], columns: Sequence[str], numeric: Sequence[str]
) -> ClipLabels | list[str]:
    """Return what a line says, or its problems; ``numeric`` ends in VAD where the file has it."""
    if len(cells) != len(columns):
        return [f"line {number}: {len(cells)} cells, expected {len(columns)}"]
    row = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    values = {name: _share(row[name]) for name in numeric}
    problems = [] if row[FILENAME] else [f"line {number}: no {FILENAME}"]
    problems += [
        f"line {number}: {name} is {row[name]!r}, expected a number from 0 to 1"
        for name, value in values.items()
        if value is None
    ]
    if problems:
        return problems
    vad = [values.pop(name) for name in VAD_DIMENSIONS if name in values]
    return ClipLabels(
        filename=row[FILENAME],
        emi=np.array(list(values.values()), dtype=np.float32),
        vad=np.array(vad, dtype=np.float32) if vad else None,
        speaker=row.get("speaker", ""),
        split=row.get("split", ""),
    )


def _repetitions(labels: Iterable[ClipLabels]) -> list[str]:
    counts = Counter(label.filename for label in labels)
    return [f"{name!r} stands there {count} times" for name, count in counts.items() if count > 1]


def _share(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 else None


def _by_stem(names: Iterable[str]) -> dict[str, str]:
    """Return the names by what is left without folder and suffix, where that is unique."""
    stems = [(PurePosixPath(name).stem, name) for name in names]
    counts = Counter(stem for stem, _ in stems)
    return {stem: name for stem, name in stems if counts[stem] == 1}


def _error(path: Path, problems: Sequence[str]) -> LabelError:
    listed = "".join(f"\n  {problem}" for problem in problems[:MAX_LISTED])
    more = f"\n  and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
    return LabelError(f"the label file {path} cannot be used, correct it:{listed}{more}")
