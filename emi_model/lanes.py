"""Threads that score clips beside each other, each with PyTorch threads of its own.

One thread of a product of matrices waits for the others at its end, and what lies between products
runs in one alone. Several that each score clips of their own wait less; unlike processes, they
share the model's weights, in memory and in the processor's caches (RESULTS.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

from emi_model.devices import USUAL_LANES

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


class Lanes:
    """Threads that work on one item each; they end when they are closed, or nobody has them.

    Attributes:
        number: of items that are worked on at a time.
    """

    def __init__(self, number: int, threads: int) -> None:
        """Start the threads.

        Args:
            number: of them.
            threads: PyTorch's in each.

        Raises:
            RuntimeError: this process may not start so many.
        """
        self.number = number
        before, together = torch.get_num_threads(), Barrier(number)

        def prepare(_: int) -> None:
            torch.set_num_threads(threads)
            torch.get_num_threads()  # from here on this thread keeps its own number
            together.wait()  # so that no thread prepares twice

        self._pool = ThreadPoolExecutor(number, "emi-lane")
        try:
            list(self._pool.map(prepare, range(number)))
        except BaseException:
            together.abort()
            self.close()
            raise
        finally:
            torch.set_num_threads(before)  # of a thread, and of all that are new to PyTorch

    def each(self, function: Callable[[_Item], _Found], items: Sequence[_Item]) -> list[_Found]:
        """Return a function's results; an error of one is raised once all are done.

        Interrupted, it leaves out the items that no thread has begun with.
        """
        asked: list[Future[_Found]] = [self._pool.submit(function, item) for item in items]
        try:
            errors = [future.exception() for future in asked]
        except BaseException:
            for future in asked:
                future.cancel()
            raise
        for error in filter(None, errors):
            raise error
        return [future.result() for future in asked]

    def close(self) -> None:
        """End the threads, once they have done what they are at; nobody waits for that."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def usual_lanes(device: torch.device) -> Lanes | None:
    """Return lanes for PyTorch's threads of this process; None on a GPU."""
    if device.type != "cpu":
        return None
    threads = torch.get_num_threads()
    number = min(USUAL_LANES, threads)
    return Lanes(number, threads // number)


def equal_parts(sizes: Sequence[int], number: int) -> list[list[int]]:
    """Divide items into parts of about equal size; every index once, no part is empty.

    Args:
        sizes: of the items.
        number: of parts; fewer where there are fewer items.
    """
    parts: list[list[int]] = [[] for _ in range(min(number, len(sizes)))]
    filled = [0] * len(parts)
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        least = min(range(len(parts)), key=lambda part: (filled[part], len(parts[part])))
        parts[least].append(index)
        filled[least] += sizes[index]
    return parts
