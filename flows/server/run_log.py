"""A flow run's log and final state in Prefect's UI: its stages, and its outcome in one line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from tasks.progress import Observer, observed_by, observer

_LOGGER = logging.getLogger(__name__)
_OUTCOME: ContextVar[list[str] | None] = ContextVar("outcome", default=None)
_T = TypeVar("_T")


class Several(Observer):
    """An observer that passes every call on to several others."""

    def __init__(self, *others: Observer) -> None:
        """Pass calls on to these."""
        self._others = others

    def begin(self, stage: str, total: int | None, unit: str) -> None:
        """Begin a stage."""
        for other in self._others:
            other.begin(stage, total, unit)

    def advance(self, num_done: int, note: str = "") -> None:
        """Count more units as done."""
        for other in self._others:
            other.advance(num_done, note)

    def note(self, line: str) -> None:
        """Report a line to be read."""
        for other in self._others:
            other.note(line)

    def reached(self, num_done: int, total: int) -> None:
        """Set the number of units that are done."""
        for other in self._others:
            other.reached(num_done, total)


class StageLog(Observer):
    """Writes a line to a log when a stage begins."""

    def __init__(self, log: Callable[[str], object]) -> None:
        """Write by this function."""
        self._log = log

    def begin(self, stage: str, total: int | None, unit: str) -> None:
        """Write the stage, and its size if that is clear."""
        self._log(stage if total is None else f"{stage}: {total} {unit}")

    def note(self, line: str) -> None:
        """Write the line."""
        self._log(line)


@contextmanager
def logged_stages() -> Iterator[None]:
    """Write the stages inside, and what `outcome` gets, to the log of this context's flow run."""
    from prefect.logging import get_run_logger
    from prefect.runtime import flow_run

    token = _OUTCOME.set([])
    try:
        if flow_run.id is None:
            yield
        else:
            with observed_by(Several(observer(), StageLog(get_run_logger().info))):
                yield
    finally:
        _OUTCOME.reset(token)


def outcome(line: str) -> None:
    """Give the outcome of the flow run in one line, for its log and its final state."""
    found = _OUTCOME.get()
    if found is not None:
        found.append(line)
    _LOGGER.info("%s", line)


def with_outcome(result: _T) -> _T:
    """Return a flow's result; within a run as a state with the outcome, which Prefect unpacks."""
    from prefect.logging import get_run_logger
    from prefect.runtime import flow_run
    from prefect.states import Completed

    lines = _OUTCOME.get()
    if not lines or flow_run.id is None:
        return result
    get_run_logger().info(lines[-1])
    state: Any = Completed(message=lines[-1], data=result)
    return state  # type: ignore[no-any-return]


def stage(title: str, function: Callable[..., _T], /, *args: Any, **options: Any) -> _T:
    """Call a function, within a flow run as a task of this title, so that the UI shows it."""
    from prefect import task
    from prefect.cache_policies import NO_CACHE
    from prefect.runtime import flow_run

    def call() -> _T:  # without arguments, in which Prefect would look for futures
        return function(*args, **options)

    if flow_run.id is None:
        return call()
    return task(name=title, cache_policy=NO_CACHE, persist_result=False)(call)()
