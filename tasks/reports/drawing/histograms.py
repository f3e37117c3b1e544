"""Histograms: shares of clips by value or by duration, bars by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tasks.reports.drawing.canvas import Drawing, shortened, ticks

WIDTH, HEIGHT = 340.0, 176.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 10.0, 10.0, 24.0
_ROW = 22.0
NAME_CHARS = 24


@dataclass(frozen=True)
class BinCounts:
    """How many clips fall into each of neighbouring bins of one width.

    Attributes:
        first: number of the first bin: of one of width w it begins at ``first * w``.
        counts: of the bins.
    """

    first: int
    counts: Sequence[int]

    @classmethod
    def of(cls, bins: Mapping[int, int] | None, low: int, high: int) -> BinCounts:
        """Return counts by bin, from ``low`` up to before ``high``, or further if there are any."""
        found = bins or {}
        first, last = min([low, *found]), max([high - 1, *found])
        return cls(first, [int(found.get(place, 0)) for place in range(first, last + 1)])

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts)

    def shares(self) -> list[float]:
        """Return the share of each bin, 0 to 1."""
        return [number / self.total if self.total else 0.0 for number in self.counts]


def histogram(
    title: str,
    description: str,
    counts: BinCounts,
    marks: Sequence[tuple[float, str]],
    *,
    other: BinCounts | None = None,
    line: float | None = None,
) -> Markup:
    """Return a histogram of shares of clips.

    Args:
        title: of the picture.
        description: likewise.
        counts: drawn as bars.
        marks: places on the horizontal axis in bins, each with its words.
        other: drawn as an outline over the bars; its bins are of the same width.
        line: a place, in bins, that a dashed line marks.
    """
    drawing = Drawing(WIDTH, HEIGHT, title, description)
    series = [one for one in (counts, other) if one is not None and one.total]
    first = min(one.first for one in (counts, *series))
    last = max(one.first + len(one.counts) for one in (counts, *series))
    top = max((max(one.shares()) for one in series), default=1.0)
    across = (WIDTH - _LEFT - _RIGHT) / (last - first)
    up = HEIGHT - _TOP - _BOTTOM
    floor = HEIGHT - _BOTTOM

    def place(value: float) -> float:
        return _LEFT + (value - first) * across

    steps = ticks(0.0, 100 * top, 3)
    for step in steps:
        y = floor - step / 100 / top * up
        drawing.line(_LEFT, y, WIDTH - _RIGHT, y, "grid")
        drawing.text(_LEFT - 5, y + 4, f"{step:g} %" if step else "0", "tick end")
    for number, share in enumerate(counts.shares()):
        if share:
            tall = max(share / top * up, 0.6)
            drawing.box(
                place(counts.first + number) + 0.5, floor - tall, max(across - 1, 0.8), tall, "bar"
            )
    if other is not None and other.total:
        drawing.path(_outline(other, place, lambda share: floor - share / top * up), "outline")
    if line is not None and first < line < last:
        drawing.line(place(line), _TOP, place(line), floor, "mark")
    drawing.line(_LEFT, floor, WIDTH - _RIGHT, floor, "axis")
    for value, words in marks:
        if first <= value <= last:
            x = place(value)
            drawing.line(x, floor, x, floor + 4, "axis")
            end = " end" if x > WIDTH - 24 else ""
            drawing.text(min(x, WIDTH - 2), HEIGHT - 6, words, f"tick{end or ' middle'}")
    return drawing.svg()


def bars(title: str, description: str, rows: Sequence[tuple[str, int]]) -> Markup:
    """Return a bar a name, with its number of clips at its end."""
    drawing = Drawing(WIDTH, _ROW * max(len(rows), 1) + 4, title, description)
    names = min(max((len(shortened(name, NAME_CHARS)) for name, _ in rows), default=0), NAME_CHARS)
    left = 8 + 6.4 * names
    top = max((number for _, number in rows), default=1) or 1
    room = WIDTH - left - 62
    for place, (name, number) in enumerate(rows):
        y = place * _ROW + 3
        drawing.text(left - 6, y + 12, shortened(name, NAME_CHARS), "tick end")
        wide = max(number / top * room, 1.0 if number else 0.0)
        drawing.box(left, y, wide, _ROW - 7, "bar")
        drawing.text(left + wide + 5, y + 12, f"{number:,}", "tick")
    return drawing.svg()


def _outline(
    counts: BinCounts, place: Callable[[float], float], height: Callable[[float], float]
) -> list[tuple[float, float]]:
    """Return the corners of the steps over the bins."""
    points = [(place(counts.first), height(0.0))]
    for number, share in enumerate(counts.shares()):
        left, y = counts.first + number, height(share)
        points += [(place(left), y), (place(left + 1), y)]
    return [*points, (place(counts.first + len(counts.counts)), height(0.0))]
