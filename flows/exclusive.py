"""On one machine one run at a time that takes the whole machine.

Two runs that each take the whole machine run out of memory, and reject clips for it. `emi up` lets
the runs that it starts wait for each other; commands by hand do not wait.
"""

from __future__ import annotations

import fcntl
import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from flows.server.artifacts import shown_in_ui
from tasks.home import home
from tasks.progress import observer

ONE_AT_A_TIME = "EMI_ONE_AT_A_TIME"
"""Environment variable: 1 where runs wait for each other."""

LOCK_POLL_SECONDS = 1.0

_P = ParamSpec("_P")
_T = TypeVar("_T")

_HELD: list[None] = []


def exclusive(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a flow's function wait until it has the machine, and show its progress in the UI."""

    @functools.wraps(function)
    def turned(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with shown_in_ui(), machine_lock():
            return function(*args, **kwargs)

    # Prefect looks up the names of types where the function itself was written, not here
    turned.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return turned


@contextmanager
def machine_lock() -> Iterator[None]:
    """Wait until no other exclusive run goes on, where runs wait; within one, go on at once."""
    if os.environ.get(ONE_AT_A_TIME) != "1" or _HELD:
        yield
        return
    home().mkdir(parents=True, exist_ok=True)
    with (home() / ".turn").open("a+") as file:
        observer().begin("waiting for another run", None, "")
        fcntl.flock(file, fcntl.LOCK_EX)
        _HELD.append(None)
        try:
            yield
        finally:
            _HELD.clear()
