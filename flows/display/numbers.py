"""How numbers are written, in the terminal and in Prefect's UI."""

from __future__ import annotations

from typing import Any

from emi_model.metrics.agreement import UNDEFINED


def format_number(value: Any, absent: str = UNDEFINED, digits: int = 3) -> str:
    """Return a float with these digits, ``absent`` for None, anything else as it is."""
    if value is None:
        return absent
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def format_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return ``value (low to high)``, or the value alone where an end is None."""
    number = format_number(value)
    return number if low is None or high is None else f"{number} ({low:.3f} to {high:.3f})"
