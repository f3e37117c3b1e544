"""Metadata files: a table with a column that names clips or speakers, CSV or Parquet.

Names of columns become lower case with underscores, as those of the store are. A column is of
numbers where all of its cells are; an empty cell, NA or NaN is a value that is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pyarrow as pa

from emi_model.errors import MetadataError
from emi_model.targets import column_name
from tasks.labels.label_columns import FILENAME, SPEAKER, idle_columns
from tasks.labels.label_file import Problem, problem_list
from tasks.labels.label_values import MISSING_CELLS, number_in, speaker_name
from tasks.schema.metadata import CLIP_ID
from tasks.storage.own_tables import typed_column
from tasks.storage.table_file import TableFile, read_table_file

MetadataKey = Literal["clip_id", "speaker"]

_NAMES: Mapping[MetadataKey, tuple[str, ...]] = {
    "clip_id": (CLIP_ID, FILENAME),
    "speaker": (SPEAKER,),
}
"""Columns that name clips, or speakers, without being told."""

_MISSING = MISSING_CELLS - {"none"}
"""None is a word: of a condition, say."""

_LONGEST_NAME = 100


@dataclass(frozen=True, eq=False)
class MetadataFile:
    """A metadata file as it was read, with all that is wrong with it.

    Attributes:
        path: where it lies.
        counted_in: what its lines are called: ``line`` of a CSV, ``row`` of a Parquet file.
        key: what its rows are of.
        names: of the clips or speakers, as written, a row each.
        lines: where the rows stand.
        columns: values by column, a value a row; of clips ``speaker`` may be one.
        problems: of the file itself.
        notes: how it was read, as far as that is unusual.
    """

    path: str
    counted_in: str
    key: MetadataKey
    names: tuple[str, ...]
    lines: tuple[int, ...]
    columns: Mapping[str, pa.Array]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    def error(self, problems: Iterable[Problem]) -> MetadataError:
        """Return the error that lists these problems."""
        notes = f" ({'; '.join(self.notes)})" if self.notes else ""
        listed = problem_list(problems, self.counted_in)
        return MetadataError(f"the metadata {self.path}{notes} cannot be used, correct it:{listed}")


def read_metadata_file(
    path: str, key: str | None = None, *, ignore: Sequence[str] = ()
) -> MetadataFile:
    """Return a metadata file with its problems.

    Args:
        path: CSV or Parquet, on a disk or in a bucket.
        key: ``clip_id`` or ``speaker``, or either with its column as in ``speaker=participant``;
            None: what the file has a column of, clips first.
        ignore: columns to leave out.

    Raises:
        MetadataError: it cannot be read at all, or no column names clips or speakers.
    """
    try:
        table = read_table_file(path)
    except ValueError as error:
        raise MetadataError(f"cannot read the metadata {path}: {error}") from error
    idle, notes = idle_columns(table)
    names = [column_name(name) for name in table.header]
    of, place = _key_column(path, table, names, key)
    unknown = [name for name in ignore if column_name(name) not in names]
    problems = [Problem(1, f"no column {name!r} to ignore") for name in unknown]
    left_out = {column_name(name) for name in ignore}
    own = {
        number: name
        for number, name in enumerate(names)
        if number != place and number not in idle and name not in left_out
    }
    problems += [Problem(1, text) for text in _wrong_names(table, own)]
    rows, found = _whole_rows(table, place)
    problems += found
    columns = {}
    for number, name in own.items():
        columns[name], remarks, wrong = _column(table, rows, number, as_text=name == SPEAKER)
        notes += remarks
        problems += wrong
    return MetadataFile(
        path=path,
        counted_in=table.counted_in,
        key=of,
        names=tuple(_name_of(of, cells[place]) for _, cells in rows),
        lines=tuple(line for line, _ in rows),
        columns=columns,
        problems=tuple(problems),
        notes=tuple(filter(None, [table.dialect, *notes])),
    )


def _key_column(
    path: str, table: TableFile, names: Sequence[str], key: str | None
) -> tuple[MetadataKey, int]:
    """Return what the rows are of, and the place of the column that names it.

    Raises:
        MetadataError: there is no such column, or clips are named by numbers.
    """
    of, _, column = (key or "").partition("=")
    if key is not None and of not in get_args(MetadataKey):
        raise MetadataError(
            f"found --key {key}, expected clip_id or speaker, or either with its column: "
            "speaker=participant"
        )
    kinds = [kind for kind in get_args(MetadataKey) if of in ("", kind)]
    wanted = [(kind, name) for kind in kinds for name in _NAMES[kind]]
    if column:
        wanted = [(kinds[0], column_name(column))]
    found = next(((kind, name) for kind, name in wanted if name in names), None)
    if found is None:
        shown = ", ".join(name.strip() for name in table.header[:10])
        raise MetadataError(
            f"{path}: no column {' or '.join(name for _, name in wanted)} (found {shown}): say "
            "which column names the speaker, --key speaker=COLUMN, or the clip, --key "
            "clip_id=COLUMN"
        )
    place = names.index(found[1])
    kind = table.numeric.get(table.header[place])
    if found[0] == CLIP_ID and kind:
        raise MetadataError(
            f"{path}: the column {table.header[place]} is {kind}, expected text: as numbers, ids "
            "lose their zeros"
        )
    return found[0], place


def _wrong_names(table: TableFile, own: Mapping[int, str]) -> list[str]:
    names = list(own.values())
    spelled = {name: table.header[place].strip()[:_LONGEST_NAME] for place, name in own.items()}
    if not table.rows:
        return ["no rows, expected a header and a row a clip or speaker"]
    if not names:
        return ["no column beside the one that names clips or speakers"]
    problems = [
        f"no column can be called {spelled[name]!r}: rename it, or leave it out by --ignore"
        for name in dict.fromkeys(names)
        if not name or len(name) > _LONGEST_NAME
    ]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    return problems + [f"{names.count(name)} columns {name!r}, expected one" for name in twice]


def _whole_rows(table: TableFile, place: int) -> tuple[list[tuple[int, list[str]]], list[Problem]]:
    """Return the rows that can be read, and what is wrong with the others."""
    rows, problems = [], []
    for line, cells in table.rows:
        if len(cells) != len(table.header):
            text = f"{len(cells)} cells, expected {len(table.header)}"
        elif not cells[place].strip():
            text = f"no {table.header[place].strip()}"
        else:
            rows.append((line, cells))
            continue
        problems.append(Problem(line, text))
    return rows, problems


def _column(
    table: TableFile, rows: Sequence[tuple[int, list[str]]], place: int, *, as_text: bool
) -> tuple[pa.Array, list[str], list[Problem]]:
    """Return a column's values, what is to be said of them, and what is wrong with them."""
    name = table.header[place].strip()
    cells = [_present(cells[place]) for _, cells in rows]
    if as_text:
        return pa.array([speaker_name(cell) or None for cell in cells], pa.string()), [], []
    values = typed_column(cells)
    if pa.types.is_null(values.type):
        values = values.cast(pa.string())
    numbers = [number_in(cell) for cell in cells]
    problems = [
        Problem(line, f"{name} is {cell!r}, expected a finite number")
        for (line, _), cell, number in zip(rows, cells, numbers, strict=True)
        if pa.types.is_floating(values.type) and number is not None and math.isinf(number)
    ]
    words = [n for n, number in enumerate(numbers) if cells[n] and number is None]
    if pa.types.is_string(values.type) and 0 < len(words) < sum(map(bool, cells)) / 2:
        first = f"{table.counted_in} {rows[words[0]][0]}: {cells[words[0]]!r}"
        return values, [f"{name} is text, for {len(words)} cells are no number ({first})"], problems
    return values, [], problems


def _present(cell: str) -> str:
    """Return a cell's text; empty for a value that is missing."""
    text = cell.strip()
    return "" if text.lower() in _MISSING else text


def _name_of(of: MetadataKey, cell: str) -> str:
    return speaker_name(cell.strip()) if of == SPEAKER else cell.strip()
