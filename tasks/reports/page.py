"""The parts of a report's page, and the page itself: HTML in which all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

NOTHING = "-"
"""Stands for a value that is not there."""


@dataclass(frozen=True)
class ReportTable:
    """A table.

    Attributes:
        caption: what it shows.
        columns: headings.
        rows: of values as they are: `shown` makes them text.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def numeric(self) -> set[int]:
        """Return the places of the columns, the first aside, that hold numbers alone."""
        return {
            place
            for place in range(1, len(self.columns))
            if all(_is_number(row[place]) for row in self.rows)
        }


@dataclass(frozen=True)
class ReportFigure:
    """A picture with what stands beside it.

    Attributes:
        title: of the picture.
        drawing: the SVG.
        behind: how many clips stand behind it, in words.
        table: the numbers that it shows.
        note: what its marks mean; may be empty.
        audio: ``data:`` address of a sound to play with it; None: none.
    """

    title: str
    drawing: Markup
    behind: str
    table: ReportTable | None = None
    note: str = ""
    audio: str | None = None


@dataclass(frozen=True)
class FigureGroup:
    """Figures under a heading of their own.

    Attributes:
        heading: of them; empty: none.
        figures: of the group.
    """

    heading: str
    figures: Sequence[ReportFigure]


@dataclass(frozen=True)
class ReportSection:
    """A section of the page.

    Attributes:
        key: its place in the page's address.
        title: its heading.
        lead: sentences below the heading.
        tables: shown at once, before the figures.
        groups: its figures.
        missing: why the section shows less than it could, and the command that mends it; each a
            sentence.
        facts: names with values, as a list.
    """

    key: str
    title: str
    lead: Sequence[str] = ()
    tables: Sequence[ReportTable] = ()
    groups: Sequence[FigureGroup] = ()
    missing: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = field(default=())


@dataclass(frozen=True)
class ReportPage:
    """All of a report.

    Attributes:
        title: of the page.
        tiles: the numbers at its head, each with what it counts.
        made: when and by what it was made, a sentence.
        sections: in their order.
    """

    title: str
    tiles: Sequence[tuple[str, str]]
    made: str
    sections: Sequence[ReportSection]


def rendered(page: ReportPage) -> str:
    """Return a page as HTML that needs no other file and no network."""
    style = Markup(_resource("style.css"))
    return str(_template().render(page=page, style=style))


def shown(value: Any) -> str:
    """Return a value as a reader wants it: thousands with commas, three decimals, UTC."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (float, Decimal)):
        return _decimals(float(value))
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return str(value)


def titled(column: str) -> str:
    """Return a column's name as a heading, such as Empathic pain."""
    words = column.replace("_", " ")
    return words[:1].upper() + words[1:]


def of_clips(number: int, what: str = "clip") -> str:
    """Return a number of clips, or of what else is counted, in words."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share as percent."""
    return f"{100 * share:.{digits}f} %"


def clips_between(numbers: Sequence[int]) -> str:
    """Return the smallest and the largest number of clips, in words; of equal ones that number."""
    low, high = min(numbers), max(numbers)
    return of_clips(high) if low == high else f"{low:,} to {high:,} clips"


def _decimals(value: float) -> str:
    if value == 0 or 0.0005 <= abs(value) < 1e4:
        return f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.2g}"


def _is_number(value: Any) -> bool:
    is_plain = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    return is_plain or value in (None, "")


@cache
def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": shown}
    return environment.from_string(_resource("page.html"))


def _resource(name: str) -> str:
    return (resources.files("tasks.reports") / name).read_text(encoding="utf-8")
