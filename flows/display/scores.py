"""Scores of a few clips on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TextIO

from rich.cells import cell_len

from emi_model.attribution.contributions import Kind
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


def show_attributions(rows: Sequence[Mapping[str, Any]], out: TextIO) -> None:
    """Write where the scores of each clip come from, a line a target, then a line a second."""
    console = console_on(out)
    for row in rows:
        found: Sequence[Mapping[str, Any]] = row["attributions"] or ()
        parts = {
            "Modalities": [one for one in found if one["kind"] == Kind.MODALITY],
            "Seconds": [one for one in found if one["kind"] != Kind.MODALITY],
        }
        for title, some in parts.items():
            if some:
                console.print(f"{cell(PurePath(row['clip_id']).name)}: {title.lower()}")
                show_rows(*_added_up(some), console)


def _added_up(contributions: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Return heads and lines of a table: from the base through all contributions to the score."""
    targets = list(dict.fromkeys(one["target"] for one in contributions))
    lines: dict[str, dict[str, float]] = {}
    for one in contributions:
        lines.setdefault("base", {})[one["target"]] = one["base"]
        lines.setdefault(_label(one), {})[one["target"]] = one["value"]
    lines["score"] = {one["target"]: one["score"] for one in contributions}
    heads = ["", *(target.replace("_", " ").capitalize() for target in targets)]
    return heads, [[name, *(line[target] for target in targets)] for name, line in lines.items()]


def _label(contribution: Mapping[str, Any]) -> str:
    if contribution["kind"] == Kind.SECOND:
        return f"{contribution['start_seconds']:.1f}-{contribution['end_seconds']:.1f} s"
    if contribution["kind"] == Kind.REMAINDER:
        return "together"
    return f"{contribution['name']}, not {contribution['reference']}"
