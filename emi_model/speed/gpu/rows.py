"""A row of the table: what was checked, what was found, what was expected, whether it holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from textwrap import shorten

logger = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What a row says of its check; only `NO` makes the whole fail."""

    YES = "yes"
    NO = "no"
    NOT_HERE = "not here"
    REACHED = "reached"
    NOT_REACHED = "not reached"
    FIGURE = ""


@dataclass(frozen=True)
class Row:
    """One check.

    Attributes:
        check: what was looked at.
        found: in words or figures.
        expected: what it is held against; empty for a mere figure.
        verdict: whether it holds.
    """

    check: str
    found: str
    expected: str
    verdict: Verdict


def holds(check: str, found: str, expected: str, is_so: bool) -> Row:
    """Return a row that says yes or no."""
    return Row(check, found, expected, Verdict.YES if is_so else Verdict.NO)


def at_most(check: str, found: float, bound: float) -> Row:
    """Return a row that holds if ``found`` is no more than ``bound``; NaN is more."""
    return holds(check, f"{found:.2g}", f"at most {bound:g}", found <= bound)


def at_least(check: str, found: float, bound: float) -> Row:
    """Return a row that holds if ``found`` is no less than ``bound``; NaN is less."""
    return holds(check, f"{found:.5f}", f"at least {bound:g}", found >= bound)


def to_reach(check: str, found: str, target: str, is_reached: bool) -> Row:
    """Return a row held against a target: to miss one is no failure."""
    verdict = Verdict.REACHED if is_reached else Verdict.NOT_REACHED
    return Row(check, found, f"to reach: {target}", verdict)


def figure(check: str, found: str) -> Row:
    """Return a row that only tells."""
    return Row(check, found, "", Verdict.FIGURE)


def not_here(check: str, expected: str) -> Row:
    """Return the row of a check that this device cannot do."""
    return Row(check, "", expected, Verdict.NOT_HERE)


def guarded(name: str, rows: Callable[[], Iterable[Row]]) -> Iterator[Row]:
    """Yield rows as they are found; where finding them breaks, a row says so and that is all."""
    try:
        yield from rows()
    except Exception as error:  # whatever it is: a broken check is a failed row, others go on
        logger.exception("%s broke", name)
        said = shorten(f"{type(error).__name__}: {error}", 120)
        yield holds(name, said, "ends", False)


def table(rows: Iterable[Row]) -> str:
    """Return rows as one Markdown table."""
    lines = [
        "| "
        + " | ".join(_cell(text) for text in (row.check, row.found, row.expected, row.verdict))
        + " |"
        for row in rows
    ]
    return "\n".join(["| check | found | expected | ok |", "|---|---|---|---|", *lines])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
