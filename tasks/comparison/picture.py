"""The picture of a comparison: each system's mean correlation with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.evaluation.plots import (
    BLUE,
    INK,
    PALE,
    RED,
    add_legend,
    literal,
    new_figure,
    plain_axes,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SURE = 0.05
"""Corrected p-values up to this are drawn as a difference that is no chance."""


def comparison_plot(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Return mean Pearson of each system, its interval over speakers and seeds.

    Args:
        rows: of the mean over the targets on all clips, in the order to draw them.
        title: of the picture.
    """
    figure = new_figure(7.6, 1.7 + 0.36 * max(len(rows), 2))
    panel = figure.subplots()
    for place, row in enumerate(rows):
        value = row["pearson"]
        if value is None:
            continue
        colour = RED if row["p_holm"] is not None and row["p_holm"] <= SURE else BLUE
        if row["pearson_low"] is not None:
            ends = [row["pearson_low"], row["pearson_high"]]
            panel.plot(ends, [place] * 2, color=colour, linewidth=2.5, alpha=0.6)
        panel.plot(value, place, "o", color=colour, markersize=7)
        if row["name"] == row["reference"]:
            panel.axvline(value, color=PALE, linestyle="--", linewidth=1)
    panel.set_yticks(range(len(rows)), [literal(row["name"]) for row in rows])
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_xlabel("mean Pearson over the targets (-1 to 1), 95 % interval")
    panel.set_title(literal(title), fontsize=11, color=INK)
    reference = literal(rows[0]["reference"]) if rows else ""
    panel.plot([], [], "o-", color=RED, label=f"differs from {reference}, p (Holm) up to {SURE}")
    panel.plot([], [], "o-", color=BLUE, label="no difference beyond doubt")
    add_legend(figure, [panel], ncols=2)
    plain_axes(panel)
    return figure
