"""A row of the table: what was checked, what was found, what was expected, whether it holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from textwrap import shorten

logger = logging.getLogger(__name__)


class CheckVerdict(StrEnum):
    """What a row says of its check; only `NO` makes the whole fail."""

    YES = "yes"
    NO = "no"
    NOT_HERE = "not here"
    REACHED = "reached"
    NOT_REACHED = "not reached"
    FIGURE = ""


@dataclass(frozen=True)
class CheckRow:
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
    verdict: CheckVerdict


def holds(check: str, found: str, expected: str, is_so: bool) -> CheckRow:
    """Return a row that says yes or no."""
    return CheckRow(check, found, expected, CheckVerdict.YES if is_so else CheckVerdict.NO)


def at_most(check: str, found: float, bound: float) -> CheckRow:
    """Return a row that holds if ``found`` is no more than ``bound``; NaN is more."""
    return holds(check, f"{found:.2g}", f"at most {bound:g}", found <= bound)


def at_least(check: str, found: float, bound: float) -> CheckRow:
    """Return a row that holds if ``found`` is no less than ``bound``; NaN is less."""
    return holds(check, f"{found:.5f}", f"at least {bound:g}", found >= bound)


def to_reach(check: str, found: str, target: str, is_reached: bool) -> CheckRow:
    """Return a row held against a target: to miss one is no failure."""
    verdict = CheckVerdict.REACHED if is_reached else CheckVerdict.NOT_REACHED
    return CheckRow(check, found, f"to reach: {target}", verdict)


def figure(check: str, found: str) -> CheckRow:
    """Return a row that only tells."""
    return CheckRow(check, found, "", CheckVerdict.FIGURE)


def not_here(check: str, expected: str) -> CheckRow:
    """Return the row of a check that this device cannot do."""
    return CheckRow(check, "", expected, CheckVerdict.NOT_HERE)


def guarded(name: str, rows: Callable[[], Iterable[CheckRow]]) -> Iterator[CheckRow]:
    """Yield rows as they are found; where finding them breaks, a row says so and that is all."""
    try:
        yield from rows()
    except Exception as error:  # whatever it is: a broken check is a failed row, others go on
        logger.exception("%s broke", name)
        said = shorten(f"{type(error).__name__}: {error}", 120)
        yield holds(name, said, "ends", False)


def table(rows: Iterable[CheckRow]) -> str:
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
