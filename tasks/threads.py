"""Work in several threads, which an interruption does not wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with the number of items done and the total, in the thread that waits."""

NUMPY_HEADERS = threading.Lock()
"""Held by who reads NumPy's files. Their headers are parsed by `ast`, whose depth CPython 3.11
counts for all threads together: two at once may end with a SystemError (its issue 106905)."""


def map_in_threads(
    items: Sequence[Item],
    worker: Callable[[], AbstractContextManager[Callable[[Item], Result]]],
    *,
    threads: int,
    on_progress: Progress | None = None,
) -> list[Result]:
    """Return what the work gives for each item, in their order.

    Daemon threads rather than an executor's: at Ctrl-C an executor waits for the items that its
    threads work on, which may take two minutes, and the interpreter waits again when it ends.

    Args:
        items: what to work on.
        worker: opened once in each thread; yields a function of one item.
        threads: how many at a time.
        on_progress: called after every item.

    Raises:
        Exception: the first that the work raises; no further item is begun.
    """
    waiting = iter(range(len(items)))
    done: queue.SimpleQueue[tuple[int, Result] | BaseException] = queue.SimpleQueue()
    stopped, taking = threading.Event(), threading.Lock()

    def take() -> int | None:
        with taking:
            return None if stopped.is_set() else next(waiting, None)

    def work() -> None:
        try:
            with worker() as work_on:
                while (place := take()) is not None:
                    done.put((place, work_on(items[place])))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            done.put(error)

    for _ in range(min(threads, len(items))):
        threading.Thread(target=work, daemon=True).start()
    results: dict[int, Result] = {}
    try:
        while len(results) < len(items):
            found = done.get()
            if isinstance(found, BaseException):
                raise found
            results[found[0]] = found[1]
            if on_progress is not None:
                on_progress(len(results), len(items))
    finally:
        stopped.set()
    return [results[place] for place in range(len(items))]
