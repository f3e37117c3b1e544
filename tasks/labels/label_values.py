"""Cells of a label file: numbers, missing labels, names of speakers."""

from __future__ import annotations

import re
import unicodedata

MISSING_CELLS = {"", "na", "n/a", "nan", "null", "none"}
"""What stands in a cell where nobody rated a clip, in lower case."""

ROUNDING = 1e-6
"""What a label may exceed its range by: sums of decimals do, as in 1.0000000000000002."""

_WHOLE = re.compile(r"(\d+)\.0+")


def is_missing(cell: str) -> bool:
    """Return whether a cell says that there is no label."""
    return cell.strip().lower() in MISSING_CELLS


def number_in(cell: str) -> float | None:
    """Return a cell's number, its decimals after a point or a comma; None if it holds none."""
    text = cell.strip()
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def share_of(cell: str, scale: float = 1.0) -> float:
    """Return a cell's label in [0, 1]; NaN for one that is missing, no number, or out of range.

    Args:
        cell: As written.
        scale: The number that stands for 1.
    """
    number = number_in(cell)
    if number is None or not -ROUNDING <= number / scale <= 1.0 + ROUNDING:
        return float("nan")
    return min(max(number / scale, 0.0), 1.0)


def speaker_name(speaker: str) -> str:
    """Return a speaker's name as it is kept, however it was written.

    Letters with accents are composed as in NFC: names of folders may not be. pandas writes number 1
    as 1.0 where another row has none.
    """
    found = _WHOLE.fullmatch(speaker)
    return found.group(1) if found else unicodedata.normalize("NFC", speaker)
