"""How a flow tells whoever started it how far it is: an observer, silent unless one is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Observer:
    """What a flow calls as it goes; this one says nothing, and others build on it."""

    def begin(self, stage: str, total: int | None, unit: str) -> None:
        """Say which stage begins, of how many units if that is known."""

    def advance(self, num_done: int, note: str = "") -> None:
        """Report that more units are done; the note is shown beside the count."""

    def reached(self, num_done: int, total: int) -> None:
        """Say how many units of how many are done."""


_SILENT = Observer()
_OBSERVER: ContextVar[Observer] = ContextVar("observer")


def observer() -> Observer:
    """Return the observer of the current context."""
    return _OBSERVER.get(_SILENT)


@contextmanager
def observed_by(watcher: Observer) -> Iterator[None]:
    """Let a watcher observe the flows that run inside."""
    token = _OBSERVER.set(watcher)
    try:
        yield
    finally:
        _OBSERVER.reset(token)
