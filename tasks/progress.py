"""How a flow reports its progress, to an observer if one is set, and what else users must know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Observer:
    """Receives a flow's progress; this class ignores it, subclasses show it."""

    def begin(self, stage: str, total: int | None, unit: str) -> None:
        """Report that a stage begins, of ``total`` units if that is clear."""

    def advance(self, num_done: int, note: str = "") -> None:
        """Report that more units are done; the note is shown beside the count."""

    def note(self, line: str) -> None:
        """Report something to be read, one line."""

    def reached(self, num_done: int, total: int) -> None:
        """Report how many units of how many are done."""


_REMARKS: dict[str, None] = {}


def remark(line: str) -> None:
    """Keep a line for the user, once; the `emi` command shows it when it ends. For any thread."""
    _REMARKS[line] = None


def take_remarks() -> list[str]:
    """Return the lines that were kept since the last call."""
    lines = list(_REMARKS)
    for line in lines:
        _REMARKS.pop(line)
    return lines


_SILENT = Observer()
_OBSERVER: ContextVar[Observer] = ContextVar("observer")


def observer() -> Observer:
    """Return the observer of the current context."""
    return _OBSERVER.get(_SILENT)


@contextmanager
def observed_by(watcher: Observer) -> Iterator[None]:
    """Report the progress of flows that run inside to a watcher."""
    token = _OBSERVER.set(watcher)
    try:
        yield
    finally:
        _OBSERVER.reset(token)
