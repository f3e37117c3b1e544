"""The guard process: it follows its parent's descendants, and kills them if the parent is killed.

`tasks.processes.guard` starts this script with a pipe from the parent as its standard input. A
parent that ends in order writes to the pipe; the pipe of one that is killed just closes.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path

MARK = "EMI_GUARD"
"""Environment variable that the guard and all other descendants of the parent inherit."""

GUARD_POLL_SECONDS = 1.0
GRACE_SECONDS = 5.0
"""Time for Ray's own processes to notice that their driver is gone."""


def main() -> None:
    """Watch until the pipe is written to or closes; if it only closed, kill what is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    parent, seen = os.getppid(), dict[int, str]()
    while not select.select([sys.stdin], [], [], GUARD_POLL_SECONDS)[0]:
        seen |= descendants({parent})
    if sys.stdin.buffer.read():
        return
    seen |= descendants(alive(seen))  # also what these started since, while they are its parents
    time.sleep(GRACE_SECONDS)
    for pid in alive(seen) - {os.getpid()}:
        _kill(pid)
    for pid in _marked(f"{MARK}={os.environ[MARK]}".encode()) - {os.getpid()}:
        _kill(pid)


def descendants(ancestors: set[int]) -> dict[int, str]:
    """Return the pids of descendants with their start times, which tell a reused pid apart."""
    processes = _processes()
    below, found = ancestors, dict[int, str]()
    while below:
        children = {pid for pid, (parent, _) in processes.items() if parent in below}
        found |= {pid: processes[pid][1] for pid in children}
        below = children
    return found


def alive(seen: dict[int, str]) -> set[int]:
    """Return those of some pids that are of the same process still, not of one started since."""
    processes = _processes()
    return {pid for pid, started in seen.items() if processes.get(pid, (0, ""))[1] == started}


def _processes() -> dict[int, tuple[int, str]]:
    """Return parent and start time (clock ticks since boot) of every process, proc(5)."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        found[int(folder.name)] = int(fields[1]), fields[19]
    return found


def _marked(mark: bytes) -> set[int]:
    """Return the pids of processes that were started with a mark in their environment."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    main()
