"""A guard process beside a run: if the run is killed, the guard ends what the run started.

Most of Ray's processes notice that their driver is gone, Prefect's temporary server does not, and
a process that ``kill -9`` ends cannot clean up. Only Linux has a guard.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

from tasks.processes import guard_child

_guarded: int | None = None  # id of the process that has a guard: a fork of it has none


def guard_this_process() -> None:
    """Start a guard of this process and all its descendants, unless there is one.

    Descendants inherit a mark, by which the guard also finds those that it never saw start.
    """
    global _guarded
    if _guarded == os.getpid() or not Path("/proc/self/stat").exists():
        return
    _guarded = os.getpid()
    os.environ[guard_child.MARK] = uuid.uuid4().hex
    os.environ["SPT_NOENV"] = "1"  # else Ray's agents overwrite their environment with a title
    guard = subprocess.Popen(
        [sys.executable, "-S", "-P", guard_child.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(_dismiss, guard)


def kill_descendants() -> None:
    """Kill all descendants but the guard, which ends what this has missed; only on Linux."""
    for pid in guard_child.descendants({os.getpid()}):
        with suppress(OSError):
            if guard_child.__file__.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


def _dismiss(guard: subprocess.Popen[bytes]) -> None:
    """End the guard, because this process ends in order."""
    try:
        guard.communicate(b"done", timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        guard.kill()
