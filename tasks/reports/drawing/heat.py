"""Fields of colour: matrices of numbers, and where clips lie between two scores."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from tasks.reports.drawing.canvas import Drawing, shortened, ticks

_SIDE = 360.0
_NAMES, _ABOVE = 92.0, 86.0
_STRONGEST = 0.6
"""Opacity of 1: text on it stays readable."""

_FIELD, _LEFT, _LOW, _TOP = 300.0, 42.0, 40.0, 8.0


def colour_matrix(
    title: str,
    description: str,
    rows: Sequence[str],
    columns: Sequence[str],
    found: Mapping[tuple[int, int], float | None],
) -> Markup:
    """Return a matrix of numbers from -1 to 1, each as colour and number.

    Args:
        title: of the picture.
        description: likewise.
        rows: names of the rows, from above.
        columns: names of the columns.
        found: by row and column; None: undefined; a place that is not there stays empty. Beyond 1
            the colour is that of 1.
    """
    size = (_SIDE - _NAMES) / max(len(columns), 1)
    high = min(size, 30.0)
    drawing = Drawing(_SIDE, _ABOVE + high * len(rows) + 4, title, description)
    highest = {column: row for row, column in sorted(found, reverse=True)}
    for column, name in enumerate(columns):
        y = _ABOVE + highest.get(column, 0) * high - 6
        drawing.text(_NAMES + (column + 0.5) * size + 4, y, shortened(name, 14), turned=True)
    for row, name in enumerate(rows):
        y = _ABOVE + (row + 0.5) * high + 4
        drawing.text(_NAMES - 6, y, shortened(name, 14), "tick end")
    for (row, column), value in found.items():
        x, y = _NAMES + column * size, _ABOVE + row * high
        kind = "above" if (value or 0.0) >= 0 else "below"
        share = 0.0 if value is None else _STRONGEST * min(abs(value), 1.0)
        drawing.box(x + 0.5, y + 0.5, size - 1, high - 1, kind, share)
        drawing.text(x + size / 2, y + high / 2 + 4, two_digits(value), "number middle")
    return drawing.svg()


def two_digits(value: float | None) -> str:
    """Return a number as tables of correlations have it: .82, 1.00, or - where it is undefined."""
    return "-" if value is None else re.sub(r"^(-?)0\.", r"\1.", f"{round(value, 2) + 0.0:.2f}")


def density(
    title: str,
    description: str,
    cells: Mapping[tuple[int, int], int],
    names: tuple[str, str],
    width: float,
) -> Markup:
    """Return a field of cells, the darker the more clips lie in them, on a logarithmic scale.

    Args:
        title: of the picture.
        description: likewise.
        cells: clips by place across and upwards, in cells.
        names: of the two axes.
        width: of a cell, in their unit.
    """
    whole = round(1 / width)
    across = [place for place, _ in cells]
    upwards = [place for _, place in cells]
    left, right = min([0, *across]), max([whole, *(one + 1 for one in across)])
    low, high = min([0, *upwards]), max([whole, *(one + 1 for one in upwards)])
    wide, tall = _FIELD / (right - left), _FIELD / (high - low)
    drawing = Drawing(_LEFT + _FIELD + 10, _TOP + _FIELD + _LOW, title, description)
    floor = _TOP + _FIELD
    for value in ticks(left * width, right * width):
        x = _LEFT + (value / width - left) * wide
        drawing.line(x, _TOP, x, floor, "grid")
        drawing.text(x, floor + 15, f"{value:g}", "tick middle")
    for value in ticks(low * width, high * width):
        y = floor - (value / width - low) * tall
        drawing.line(_LEFT, y, _LEFT + _FIELD, y, "grid")
        drawing.text(_LEFT - 5, y + 4, f"{value:g}", "tick end")
    most = max(cells.values(), default=1)
    for (x_place, y_place), number in sorted(cells.items()):
        share = 0.15 + 0.85 * (math.log(number) / math.log(most) if most > 1 else 1.0)
        x, y = _LEFT + (x_place - left) * wide, floor - (y_place - low + 1) * tall
        drawing.box(x, y, wide, tall, "bar", share)
    drawing.text(_LEFT + _FIELD / 2, floor + 33, names[0], "name middle")
    drawing.text(12, _TOP + _FIELD / 2, names[1], "name middle", turned=True)
    return drawing.svg()
