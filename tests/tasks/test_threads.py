from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from tasks.threads import map_in_threads

PROJECT = Path(__file__).parents[2]


def test_results_come_in_the_order_of_the_items() -> None:
    told: list[tuple[int, int]] = []

    def slower_first(item: int) -> int:
        time.sleep(0.02 / (item + 1))
        return item * item

    found = map_in_threads(
        range(8),
        lambda: nullcontext(slower_first),
        threads=4,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert found == [item * item for item in range(8)]
    assert told == [(done, 8) for done in range(1, 9)]


def test_nothing_to_do() -> None:
    assert map_in_threads([], lambda: nullcontext(str), threads=4) == []


def test_each_thread_has_a_worker_of_its_own() -> None:
    opened: list[int] = []
    together = threading.Barrier(3)

    @contextmanager
    def worker() -> Iterator[Callable[[int], int]]:
        opened.append(threading.get_ident())
        together.wait(60)
        yield lambda item: threading.get_ident()

    assert set(map_in_threads(range(50), worker, threads=3)) <= set(opened)
    assert len(set(opened)) == 3


def test_the_first_error_ends_it() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 3:
            raise ValueError("three")
        time.sleep(0.001)

    with pytest.raises(ValueError, match="three"):
        map_in_threads(range(10_000), lambda: nullcontext(work), threads=2)
    assert len(begun) < 1000


def test_an_interruption_does_not_wait_for_what_is_under_way() -> None:
    script = (
        "import time; from contextlib import nullcontext\n"
        "from tasks.threads import map_in_threads\n"
        "print('begun', flush=True)\n"
        "map_in_threads(range(4), lambda: nullcontext(lambda item: time.sleep(60)), threads=2)"
    )
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=PROJECT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.2)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert "KeyboardInterrupt" in said
