"""A guard beside a run: if the run is killed, the servers that it started do not stay behind.

Ray's processes mostly notice that their driver is gone; Prefect's temporary server does not, and
kill -9 lets no one clean up. On Linux; elsewhere there is no guard.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import uuid
from pathlib import Path

from tasks.processes import guard_child

_guarded: int | None = None  # id of the process that has its guard: a fork of it has none


def guard_this_process() -> None:
    """Start the guard of this process and of all that it starts, unless it has one.

    What it starts inherits a mark, by which the guard finds also what it had no time to see.
    """
    global _guarded
    if _guarded == os.getpid() or not Path("/proc/self/stat").exists():
        return
    _guarded = os.getpid()
    os.environ[guard_child.MARK] = uuid.uuid4().hex
    os.environ["SPT_NOENV"] = "1"  # Ray's agents: do not write a title over the environment
    guard = subprocess.Popen(
        [sys.executable, "-S", "-P", guard_child.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(_dismiss, guard)


def _dismiss(guard: subprocess.Popen[bytes]) -> None:
    """End the guard: this process ends in order."""
    try:
        guard.communicate(b"done", timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        guard.kill()
