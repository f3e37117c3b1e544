"""Whose turn it is: on one machine one heavy run at a time, in a store on a disk one writer.

Two runs that each take the whole machine for their own run out of memory, and reject clips for it.
`emi up` lets the runs that it starts wait for each other; commands by hand wait for no one.
"""

from __future__ import annotations

import fcntl
import functools
import inspect
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import ParamSpec, TypeVar

from emi_model.errors import StoreError
from flows.server.artifacts import shown_in_ui
from tasks.home import home
from tasks.progress import observer
from tasks.store.store import ResultsStore

ONE_AT_A_TIME = "EMI_ONE_AT_A_TIME"
"""Environment variable: 1 where runs wait for each other."""

LOOK_SECONDS = 1.0

P = ParamSpec("P")
T = TypeVar("T")

_HELD: list[None] = []


def exclusive(function: Callable[P, T]) -> Callable[P, T]:
    """Let a flow's function wait for its turn on the machine, and show how far it is in the UI."""

    @functools.wraps(function)
    def turned(*args: P.args, **kwargs: P.kwargs) -> T:
        with shown_in_ui(), machine_lock():
            return function(*args, **kwargs)

    # Prefect looks up the names of types where the function itself was written, not here
    turned.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return turned


@contextmanager
def machine_lock() -> Iterator[None]:
    """Wait until no other heavy run goes on, where runs take turns; within one, go on at once."""
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


@contextmanager
def store_lock(store: ResultsStore, wait_minutes: float) -> Iterator[None]:
    """Hold a store for writing.

    Args:
        store: the store.
        wait_minutes: how long to wait while another run writes to it.

    Raises:
        StoreError: another run writes to it still.
    """
    deadline = time.monotonic() + 60 * wait_minutes
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(store.lock())
                break
            except StoreError:
                if time.monotonic() > deadline:
                    raise
            observer().begin("waiting for another run", None, "")
            time.sleep(LOOK_SECONDS)
        yield
