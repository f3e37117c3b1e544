"""What `emi ablate` and `emi compare` share: options, tables, the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from emi_model.errors import EXIT_USAGE
from flows.cli.options import LOCATION, Verb
from flows.cli.run import write_json
from flows.display.terminal import message, terminal
from flows.display.text import say

TitledTable = tuple[str, Sequence[str], Iterable[Sequence[str]]]
"""A title, or nothing; the names of the columns; the cells of each line."""


def seeds_option(trained: str) -> Callable[[Verb], Verb]:
    """Return the option of how often each ``trained`` thing is trained."""
    return click.option(
        "--seeds",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        metavar="N",
        help=f"Trainings of each {trained}: the recipe's seed and those after it.",
    )


def report_option(kind: str) -> Callable[[Verb], Verb]:
    """Return the option of the folder of a report."""
    return click.option(
        "--out",
        type=LOCATION,
        metavar="DIR",
        help=f"Folder of the report (default: reports/{kind}-... in the results store).",
    )


def show_grid(
    tables: Iterable[TitledTable],
    rows: Callable[[], Iterable[Mapping[str, Any]]],
    notes: Iterable[str],
    found: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """Write a report, and end with an exit code that says so where trainings failed.

    Args:
        tables: for a person.
        rows: returns what is written as JSON instead.
        notes: what to know of the figures.
        found: what the flow returns: ``folder`` of the report, and ``failed``, the reasons of
            trainings that failed by name and seed.
        as_json: whether rows are written.
    """
    if as_json:
        write_json(rows())
    else:
        _show(tables, notes, found["folder"])
    for (name, seed), reason in found["failed"].items():
        message(f"{name}, seed {seed} failed: {reason}")
    if found["failed"]:
        sys.exit(EXIT_USAGE)


def _show(tables: Iterable[TitledTable], notes: Iterable[str], folder: str) -> None:
    from rich.table import Column, Table

    from flows.display.tables import show

    out = terminal().out
    for title, columns, cells in tables:
        first, *others = columns
        table = Table(Column(first, overflow="fold"), *others, title=title or None)
        for line in cells:
            table.add_row(*line)
        show(table, out)
    for note in notes:
        say(note, out)
    say(f"report: {folder}", out)
