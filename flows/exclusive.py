"""Run flows that take the whole machine one at a time.

Two such runs at once run out of memory and reject clips for it. The runs that `emi up` starts wait
for each other; commands that a user starts do not wait.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import ParamSpec, TypeVar

from emi_model.errors import ServerError
from flows.server.artifacts import shown_in_ui
from flows.server.run_log import logged_stages, with_outcome
from tasks.home import home
from tasks.progress import observer
from tasks.storage.locks import LockHeld, file_lock

ONE_AT_A_TIME = "EMI_ONE_AT_A_TIME"
"""Environment variable: 1 if runs wait for each other."""

_P = ParamSpec("_P")
_T = TypeVar("_T")

_HELD: list[None] = []


def exclusive(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a flow wait until it has the machine lock, and show its progress in the UI."""

    @functools.wraps(function)
    def with_lock(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with logged_stages(), shown_in_ui(), machine_lock():
            return with_outcome(function(*args, **kwargs))

    # Prefect resolves the type names in the module of the function, not in this one
    with_lock.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return with_lock


@contextmanager
def machine_lock() -> Iterator[None]:
    """Wait until no other exclusive run is active, if runs wait; within one, continue at once."""
    if os.environ.get(ONE_AT_A_TIME) != "1" or _HELD:
        yield
        return
    home().mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        observer().begin("waiting for another run", None, "")
        try:
            stack.enter_context(file_lock(home() / ".turn"))
        except LockHeld as error:
            raise ServerError(f"this machine's turn is taken{error.who}") from error
        _HELD.append(None)
        try:
            yield
        finally:
            _HELD.clear()
