"""Columns of a label file: which one names the clip, which are targets, which are left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from tasks.schema.registers import MEAN, labels_schema
from tasks.schema.scores import bound_columns, scores_schema, timeline_schema, windows_schema
from tasks.storage.table_file import TableFile

FILENAME, SPEAKER, SPLIT = "filename", "speaker", "split"
NUM_RATERS = "num_raters"
KNOWN_COLUMNS = {FILENAME, SPEAKER, SPLIT, NUM_RATERS, *VAD_DIMENSIONS}
_STORED = (labels_schema(()), scores_schema(()), timeline_schema(), windows_schema(()))
RESERVED = {*(name for schema in _STORED for name in schema.names), FILENAME, MEAN, ""}
"""No target may have one of these columns: the store has them already."""

MOST_OF_THE_CHALLENGES = 4
"""Targets of the challenge's six: a file with these and no other has lost a column."""

MAX_NAME = 100
"""Characters of a target's name."""

_NAME = re.compile(r"[^\W_](?:[\w .&'()-]*)")
_EXPECTED = "letters, digits, blanks and _ - . & ' ( ), a letter or digit first"
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_NAMELESS = re.compile(r"(?:Unnamed: \d+)?")


@dataclass(frozen=True)
class Columns:
    """Which column of a label file is what.

    Attributes:
        names: normalised names of all columns; empty for one that is left out.
        targets: as spelled, in the order of the values.
        problems: what is wrong with the header.
        notes: what was left out, in words.
    """

    names: list[str]
    targets: tuple[str, ...]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def numeric(self) -> list[str]:
        """Columns of the values: the targets', then VAD where the file has it."""
        vad = VAD_DIMENSIONS if any(name in self.names for name in VAD_DIMENSIONS) else ()
        return [*map(column_name, self.targets), *vad]


def sort_columns(table: TableFile, wanted: Sequence[str], ignored: Sequence[str]) -> Columns:
    """Return which column of a table is what.

    Args:
        table: with its rows: a column of row numbers is known by them.
        wanted: names of the targets; without any, all columns that are nothing else.
        ignored: names of columns to leave out.
    """
    left_out, notes = idle_columns(table)
    names = [column_name(name) for name in table.header]
    spelled = {column_name(name): name.strip() for name in table.header}
    to_ignore = {column_name(name): name for name in ignored}
    problems = [
        f"no column {to_ignore[name]!r} to ignore" for name in to_ignore if name not in names
    ]
    left_out |= {place for place, name in enumerate(names) if name in to_ignore}
    names = ["" if place in left_out else name for place, name in enumerate(names)]
    kept = [name for place, name in enumerate(names) if place not in left_out]
    targets = tuple(wanted) or tuple(
        spelled[name] for name in dict.fromkeys(kept) if name not in KNOWN_COLUMNS
    )
    own = set(map(column_name, targets))
    challenge = dict(zip(map(column_name, EMI_TARGETS), EMI_TARGETS, strict=True))
    lost = not wanted and own < set(challenge) and len(own) >= MOST_OF_THE_CHALLENGES
    if lost or own == set(challenge):
        targets = EMI_TARGETS
    columns = Columns(names, targets, problems, notes)
    columns.problems.extend(_counts(columns, table.header))
    columns.problems.extend(_unusable(targets))
    return columns


def _counts(columns: Columns, header: Sequence[str]) -> list[str]:
    names = columns.names
    shown = ", ".join(name.strip()[:MAX_NAME] for name in header[:10])
    found = f" (found {shown})" if FILENAME not in names else ""
    problems = [
        f"{names.count(name)} columns {name!r}, expected one{found if name == FILENAME else ''}"
        for name in dict.fromkeys((FILENAME, *columns.numeric))
        if names.count(name) != 1
    ]
    return problems + [
        f"{names.count(name)} columns {name!r}, expected at most one"
        for name in (SPEAKER, SPLIT, NUM_RATERS)
        if names.count(name) > 1
    ]


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
    problems += [
        f"no target can be called {target[:MAX_NAME]!r}, expected {_EXPECTED}"
        for target, column in zip(targets, columns, strict=True)
        if column not in taken and (len(target) > MAX_NAME or not _NAME.fullmatch(target))
    ]
    twice = {column for column in columns if columns.count(column) > 1}
    return problems + [f"the target {column!r} is named twice" for column in sorted(twice)]


def idle_columns(table: TableFile) -> tuple[set[int], list[str]]:
    """Return the places of the columns that only number the rows, or are empty, and notes."""
    left_out: set[int] = set()
    notes: list[str] = []
    for place, name in enumerate(map(str.strip, table.header)):
        if _PANDAS_INDEX.fullmatch(name):
            is_number, is_empty = True, False
        elif _NAMELESS.fullmatch(name):
            cells = [row[place].strip() for _, row in table.rows if place < len(row)]
            is_number = cells == [str(number) for number in range(len(cells))]
            is_empty = not any(cells)
        else:
            continue
        if is_number and not is_empty:
            notes.append(f"left out column {name or place + 1!r}: it numbers the rows")
        if is_number or is_empty:
            left_out.add(place)
    return left_out, notes
