"""How a run tells whoever started it how far it is: an observer, silent unless one is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Observer(Protocol):
    """What a run calls as it goes."""

    def stage(self, name: str) -> None:
        """Say what begins now."""

    def planned(self, num_todo: int, num_skipped: int) -> None:
        """Say how many clips are to do, and how many are done."""

    def scored(self, num_rows: int, num_rejected: int, audio_seconds: float) -> None:
        """Say that rows came back from the workers."""


class Silent:
    """The observer of a flow that nobody watches."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def planned(self, num_todo: int, num_skipped: int) -> None:
        """Say nothing."""

    def scored(self, num_rows: int, num_rejected: int, audio_seconds: float) -> None:
        """Say nothing."""


_SILENT = Silent()
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
