"""Runs and their rows on a terminal: the progress bar, the summary, tables."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from flows.display.console import PlainConsole
from flows.display.numbers import format_number
from flows.display.text import printable
from tasks.progress import Observer

_MADE = {"scores": "scored", "transcripts": "transcribed"}

ABSENT = "-"
PLAIN_WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""

PLAIN_SECONDS = 30.0
"""Between two lines of progress where there is no terminal."""


class ProgressBar(Observer):
    """An observer that draws a bar; where there is no terminal it writes a line now and then."""

    def __init__(self, err: TextIO) -> None:
        """Draw on ``err``."""
        self._console = PlainConsole(file=err)
        self._live = self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]} {task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
            redirect_stdout=False,  # what libraries write stays in the log
            redirect_stderr=False,
        )
        self._task: TaskID | None = None
        self._stage = self._unit = ""
        self._total: int | None = None
        self._done = 0
        self._last_line = time.monotonic()

    def __enter__(self) -> ProgressBar:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

    def begin(self, stage: str, total: int | None, unit: str) -> None:
        """Draw a bar for a stage in place of the one before."""
        stage = printable(stage)
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(stage, total=total, unit=unit, note="")
        self._stage, self._total, self._unit, self._done = stage, total, unit, 0
        if not self._live:
            self._console.print(f"{stage}: {total} {unit}" if total is not None else stage)

    def advance(self, num_done: int, note: str = "") -> None:
        """Move the bar."""
        self._move(self._done + num_done, self._total, note)

    def note(self, line: str) -> None:
        """Write a line above the bar."""
        self._console.print(line, markup=False, highlight=False)

    def reached(self, num_done: int, total: int) -> None:
        """Set the bar."""
        self._move(num_done, total, "")

    def _move(self, done: int, total: int | None, note: str) -> None:
        self._done, self._total, note = done, total, printable(note)
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, note=note)
        if not self._live and time.monotonic() - self._last_line > PLAIN_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"{self._stage}: {done}/{total} {self._unit} {note}")


def run_summary(record: Mapping[str, Any], results: str) -> str:
    """Return what a run did, in a few lines."""
    lines = [
        f"{record['num_listed']} clips: {record['num_scored']} {_MADE[record['made']]}, "
        f"{record['num_rejected']} rejected, {record['num_skipped']} skipped (done before)",
    ]
    lines += [f"  rejected, {reason}: {count}" for reason, count in record["reasons"].items()]
    lines += [f"  flagged, {flag}: {count}" for flag, count in record["flags"].items()]
    if record["num_scored"]:
        hours = record["audio_seconds"] / 3600
        lines.append(
            f"{hours:.3f} hours of audio in {record['wall_seconds']:.1f} s: "
            f"{record['audio_hours_per_hour']:.1f} audio-hours per hour"
        )
    lines.append(f"run {record['run_id']} in {results}")
    return "\n".join(lines)


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table of any values."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*(printable(format_number(value, ABSENT)) for value in row))
    return table


def show(table: Table, out: TextIO) -> None:
    """Write a table; wide where no terminal and no COLUMNS limits it."""
    console_on(out).print(table)


def console_on(out: TextIO) -> PlainConsole:
    """Return what writes to a stream, as wide as the terminal, COLUMNS, or `PLAIN_WIDTH`."""
    console = PlainConsole(file=out)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return PlainConsole(file=out, width=PLAIN_WIDTH)
