"""Scores of a few clips on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TextIO

from rich.cells import cell_len

from emi_model.targets import VAD_DIMENSIONS, column_name
from flows.display.answers import cell, show_rows
from flows.display.tables import console_on

MAX_NOTE = 60
"""Characters of a note after which it is wrapped."""


def show_scores(rows: Sequence[Mapping[str, Any]], targets: Sequence[str], out: TextIO) -> None:
    """Write scored and rejected clips: a line a clip, or where that is too wide a column a clip."""
    console = console_on(out)
    names = [*targets, *(dimension.capitalize() for dimension in VAD_DIMENSIONS)]
    clips = [PurePath(row["clip_id"]).name for row in rows]
    notes = [", ".join(filter(None, [row["reason"], *row["flags"], row["detail"]])) for row in rows]
    values = [[*(row[column_name(name)] for name in names), row["scored_seconds"]] for row in rows]
    heads = [*names, "Seconds"]
    numbers = sum(len(head) + 2 for head in heads)
    texts = max(map(cell_len, clips)) + 2 + min(max(map(cell_len, notes)), MAX_NOTE)
    if numbers + texts <= console.width:
        lines = [[clip, *of, note] for clip, of, note in zip(clips, values, notes, strict=True)]
        show_rows(["Clip", *heads, "Note"], lines, console)
        return
    columns = zip(heads, *values, strict=True)
    show_rows(["", *clips], [list(column) for column in columns], console)
    for clip, note in zip(clips, notes, strict=True):
        if note:
            console.print(f"{cell(clip)}: {cell(note)}")
