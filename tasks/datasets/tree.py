"""The folder of a data set as a reader sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from emi_model.errors import LabelError
from emi_model.targets import column_name
from tasks.datasets.clip_index import ClipIndex
from tasks.datasets.layout import Layout
from tasks.labels.label_values import ROUNDING, is_missing, number_in
from tasks.storage.table_file import read_table_file

DEFAULT_WINDOW_SECONDS = 4


class MediaFacts(NamedTuple):
    """What a media file's header says; each is None if it does not say."""

    seconds: float | None
    frames_per_second: float | None


class TableRow(NamedTuple):
    """A row of a data set's own table.

    Attributes:
        place: file and line, for messages.
        cells: by `column_name`.
    """

    place: str
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Return a cell without blanks around it."""
        return self.cells[column_name(column)].strip()

    def number(self, column: str) -> float | None:
        """Return a cell's number; None where it is empty.

        Raises:
            LabelError: it holds something else.
        """
        text = self.text(column)
        found = number_in(text)
        if found is None and not is_missing(text):
            raise LabelError(f"{self.place}: {column} is {text!r}, expected a number")
        return None if is_missing(text) else found

    def scaled(self, column: str, low: float, high: float) -> float | None:
        """Return a cell's number on a scale of 0 for ``low`` to 1 for ``high``; None if empty.

        Raises:
            LabelError: it is outside, or no number.
        """
        number = self.number(column)
        if number is None:
            return None
        share = (number - low) / (high - low)
        if not -ROUNDING <= share <= 1 + ROUNDING:
            raise LabelError(f"{self.place}: {column} is {number:g}, expected {low:g} to {high:g}")
        return min(max(share, 0.0), 1.0)


class Tree:
    """A data set's folder.

    Attributes:
        layout: what it should be.
        folder: its root.
        clips: its media; without any, only labels are wanted.
        window_seconds: length of the windows of labels over time.
        frame_rate: frames a second of these labels where there are no media that say it.
        notes: what a reader left out, and why; readers add to it.
    """

    def __init__(
        self,
        layout: Layout,
        folder: Path,
        clips: ClipIndex,
        facts_of: Callable[[str], MediaFacts],
        *,
        window_seconds: int = DEFAULT_WINDOW_SECONDS,
        frame_rate: float | None = None,
    ) -> None:
        """Take the folder.

        Args:
            layout: as the attribute.
            folder: likewise.
            clips: likewise.
            facts_of: reads the header of a clip, by its id.
            window_seconds: as the attribute.
            frame_rate: likewise.
        """
        self.layout = layout
        self.folder = folder
        self.clips = clips
        self.window_seconds = window_seconds
        self.frame_rate = frame_rate
        self.notes: list[str] = []
        self._facts_of = facts_of

    def refused(self, found: str) -> LabelError:
        """Return the error of a folder that is not what its layout says, in one line."""
        return LabelError(
            f"{self.folder}: {found}; expected the layout of {self.layout.title}: "
            f"{self.layout.files}. The data: {self.layout.ask}"
        )

    def find(self, *patterns: str) -> list[Path]:
        """Return what fits the first pattern that anything fits, sorted; empty if nothing does."""
        for pattern in patterns:
            found = [path for path in self.folder.glob(pattern) if not path.name.startswith(".")]
            if found:
                return sorted(found)
        return []

    def paths(self, *patterns: str) -> list[Path]:
        """Return what `find` does.

        Raises:
            LabelError: nothing fits any pattern.
        """
        found = self.find(*patterns)
        if not found:
            raise self.refused(f"no {patterns[0]}")
        return found

    def table(self, *patterns: str, columns: Sequence[str]) -> list[TableRow]:
        """Return the rows of the first table that fits a pattern.

        Args:
            patterns: where it may be, below the folder.
            columns: that it must have, in any case of letters.

        Raises:
            LabelError: there is none, it cannot be read, or a column is missing.
        """
        return self.table_at(self.paths(*patterns)[0], columns)

    def table_at(
        self, path: Path, columns: Sequence[str], unnamed: Sequence[str] = ()
    ) -> list[TableRow]:
        """Return the rows of a table; raises as `table` does.

        Args:
            path: of the file.
            columns: as `table` takes them.
            unnamed: names of the columns of a file that may have no header: one with so many
                cells in its first line, the last of them a number.
        """
        try:
            table = read_table_file(str(path))
        except ValueError as error:
            raise self.refused(f"cannot read {path.name}: {error}") from error
        first = table.header
        if len(first) == len(unnamed) > 0 and number_in(first[-1]) is not None:
            table = table._replace(header=list(unnamed), rows=[(1, first), *table.rows])
        header = [column_name(name) for name in table.header]
        lacking = [name for name in columns if column_name(name) not in header]
        if lacking:
            found = ", ".join(table.header[:10])
            raise self.refused(f"{path.name} has no column {', '.join(lacking)} among {found}")
        rows = []
        for line, cells in table.rows:
            if len(cells) != len(header):
                words = f"{path.name} line {line} has {len(cells)} cells, its header {len(header)}"
                raise self.refused(words)
            place = f"{path} line {line}"
            rows.append(TableRow(place, dict(zip(header, cells, strict=True))))
        return rows

    def facts(self, name: str) -> MediaFacts | None:
        """Return what the header of a clip's media says; None if the clip is missing.

        Where only labels are wanted, nothing is known but the frame rate that was given.

        Raises:
            LabelError: several clips have this name.
        """
        if not self.clips.clip_ids:
            return MediaFacts(None, self.frame_rate)
        clip_id = self.clips.find(name)
        return None if clip_id is None else self._facts_of(clip_id)
