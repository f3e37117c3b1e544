"""Lines and intervals: timelines, figures with their intervals, drift over runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tasks.reports.drawing.canvas import Drawing, shortened, ticks

WIDTH_OF_LINES = 340.0
_ROW = 26.0
_NAME_CHARS = 22
KINDS = ("first", "second", "third")
"""Classes of three lines: they differ in colour and in their dashes."""


@dataclass(frozen=True)
class Interval:
    """A figure with its interval.

    Attributes:
        name: what it is of.
        value: the figure; None: undefined.
        low: lower end; None: there is no interval.
        high: upper end.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None


def intervals(
    title: str,
    description: str,
    rows: Sequence[Interval],
    axis: str,
    *,
    zero: bool = False,
    ends: tuple[float, float] | None = None,
) -> Markup:
    """Return a row a figure: a dot, and its interval as a bar.

    Args:
        title: of the picture.
        description: likewise.
        rows: the figures, from above.
        axis: what the horizontal axis is.
        zero: mark 0 by a dashed line.
        ends: of the axis; default what the figures need.
    """
    known = [one for row in rows for one in (row.value, row.low, row.high) if one is not None]
    low, high = ends or (min(known, default=0.0), max(known, default=1.0))
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    spare = 0.04 * (high - low) or 0.5
    low, high = low - spare, high + spare
    names = max((len(shortened(row.name, _NAME_CHARS)) for row in rows), default=0)
    left = 10 + 6.3 * names
    height = _ROW * len(rows) + 44
    drawing = Drawing(WIDTH_OF_LINES, height, title, description)
    floor = height - 40
    room = WIDTH_OF_LINES - left - 12

    def place(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * room

    for value in ticks(low, high):
        x = place(value)
        drawing.line(x, 4, x, floor, "mark" if zero and value == 0 else "grid")
        drawing.text(x, floor + 15, f"{value:g}", "tick middle")
    drawing.text(left + room / 2, floor + 33, axis, "name middle")
    for number, row in enumerate(rows):
        y = 4 + number * _ROW + _ROW / 2
        drawing.text(left - 6, y + 4, shortened(row.name, _NAME_CHARS), "tick end")
        if row.low is not None and row.high is not None:
            drawing.line(place(row.low), y, place(row.high), y, "interval")
        if row.value is not None:
            drawing.dot(place(row.value), y, 4, "point")
        else:
            drawing.text(left + 4, y + 4, "undefined", "tick")
    return drawing.svg()


def timeline(
    title: str,
    description: str,
    seconds: Sequence[float],
    series: Sequence[tuple[str, Sequence[float | None]]],
) -> Markup:
    """Return up to three lines over the seconds of a clip, each named at its end.

    Args:
        title: of the picture.
        description: likewise.
        seconds: in which each value lies, rising.
        series: names with a value a second; None leaves a gap.
    """
    height, left, right = 130.0, 34.0, 74.0
    drawing = Drawing(WIDTH_OF_LINES, height, title, description)
    known = [value for _, values in series for value in values if value is not None]
    low, high = min([0.0, *known]), max([1.0, *known])
    floor, up = height - 22, height - 30
    last = max(seconds[-1] - seconds[0], 1.0) if seconds else 1.0

    def place(second: float) -> float:
        return left + (second - seconds[0]) / last * (WIDTH_OF_LINES - left - right)

    def rise(value: float) -> float:
        return floor - (value - low) / (high - low) * up

    for value in ticks(low, high, 2):
        drawing.line(left, rise(value), WIDTH_OF_LINES - right, rise(value), "grid")
        drawing.text(left - 5, rise(value) + 4, f"{value:g}", "tick end")
    for second in ticks(seconds[0], seconds[-1]) if seconds else []:
        drawing.text(place(second), height - 6, f"{second:g} s", "tick middle")
    labels = []
    for kind, (name, values) in zip(KINDS, series, strict=False):
        for piece in _pieces(seconds, values):
            if len(piece) == 1:
                drawing.dot(place(piece[0][0]), rise(piece[0][1]), 2, f"dot {kind}")
            drawing.path([(place(x), rise(y)) for x, y in piece], f"line {kind}")
        ends = [value for value in values if value is not None]
        if ends:
            labels.append((rise(ends[-1]), name, kind))
    for y, name, kind in _apart(labels):
        drawing.text(WIDTH_OF_LINES - right + 6, y + 4, name, f"tick {kind}")
    return drawing.svg()


def _pieces(
    seconds: Sequence[float], values: Sequence[float | None]
) -> list[list[tuple[float, float]]]:
    """Return the points of a line, cut at its gaps."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for second, value in zip(seconds, values, strict=True):
        if value is not None:
            pieces[-1].append((second, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _apart(labels: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Return labels moved down where one would cover another, and back up at the floor."""
    placed: list[tuple[float, str, str]] = []
    for y, name, kind in sorted(labels):
        y = max(y, placed[-1][0] + 13) if placed else max(y, 8.0)
        placed.append((y, name, kind))
    excess = max(placed[-1][0] - 104.0, 0.0) if placed else 0.0
    return [(y - excess, name, kind) for y, name, kind in placed]
