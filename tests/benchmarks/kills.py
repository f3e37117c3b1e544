"""kill -9 of a command at a moment of its work, without the start of a new Python each time.

Processes are forked off one that has loaded the command, and nothing else has happened in.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

_FORKING = get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "flows.cli.main",
        "flows.cli.verbs.forget",
        "tasks.store.compaction",
        "tasks.forgetting.forget",
    ]
)

ENDED_BEFORE = 0.9
"""What the seconds of work are multiplied by where a command had ended before it was killed."""


def seconds_of_work(
    run: Callable[..., None], *args: str, begun: Callable[[], bool], kill_after: float | None
) -> float | None:
    """Return how long a function works in a process of its own; or kill it, None if it had ended.

    Args:
        run: a function of a module.
        args: its arguments.
        begun: whether its work has begun: the time counts from there.
        kill_after: seconds until kill -9; None: it is left to end.
    """
    process = _FORKING.Process(target=_quietly, args=(run, args))
    process.start()
    while process.is_alive() and not begun():
        time.sleep(0.002)
    began = time.perf_counter()
    process.join(kill_after)
    was_alive = process.is_alive()
    if was_alive:
        process.kill()
    process.join()
    if not was_alive and process.exitcode:
        raise RuntimeError(f"{run.__name__}: exit code {process.exitcode}")
    if kill_after is None or was_alive:
        return time.perf_counter() - began
    return None


def _quietly(run: Callable[..., None], args: tuple[str, ...]) -> None:
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
        os.dup2(nothing.fileno(), sys.stderr.fileno())
        run(*args)
