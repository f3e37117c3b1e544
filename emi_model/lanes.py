"""Threads that score clips beside each other, each with PyTorch threads of its own.

One thread of a product of matrices waits for the others at its end, and what lies between products
runs in one alone. Several that each score clips of their own wait less; unlike processes, they
share the model's weights, in memory and in the processor's caches (RESULTS.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import torch

from emi_model.devices import USUAL_LANES

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")

_Task = tuple[Callable[[Any], Any], Any, "Future[Any]"]


class Lanes:
    """Threads that work on one item each. A program that ends does not wait for them.

    Attributes:
        number: of items that are worked on at a time.
    """

    def __init__(self, number: int, threads: int) -> None:
        """Start the threads.

        Args:
            number: of them.
            threads: PyTorch's in each.
        """
        self.number = number
        self._asked: SimpleQueue[_Task | None] = SimpleQueue()
        for _ in range(number):
            Thread(target=self._work, args=(threads,), daemon=True, name="emi-lane").start()

    def each(self, function: Callable[[_Item], _Found], items: Sequence[_Item]) -> list[_Found]:
        """Return a function's results; an error of one is raised once all are done."""
        asked: list[tuple[_Item, Future[_Found]]] = [(item, Future()) for item in items]
        for item, future in asked:
            self._asked.put((function, item, future))
        errors = [future.exception() for _, future in asked]
        for error in filter(None, errors):
            raise error
        return [future.result() for _, future in asked]

    def close(self) -> None:
        """End the threads."""
        for _ in range(self.number):
            self._asked.put(None)

    def _work(self, threads: int) -> None:
        torch.set_num_threads(threads)
        while (task := self._asked.get()) is not None:
            function, item, future = task
            try:
                future.set_result(function(item))
            except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
                future.set_exception(error)
            del task, function, item, future  # else the last item stays in memory


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
