from __future__ import annotations

import os
import subprocess

import psutil

from tasks.processes import guard_child
from tasks.processes.guard import guard_this_process


def guards() -> int:
    children = psutil.Process().children()
    return sum(guard_child.__file__ in child.cmdline() for child in children)


def test_a_process_has_one_guard() -> None:
    guard_this_process()
    guard_this_process()
    assert guards() == psutil.LINUX


def test_a_number_that_another_process_has_now_is_of_nobody_seen() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        seen = guard_child.descendants({os.getpid()})
        assert child.pid in guard_child.alive(seen)
        assert guard_child.alive({pid: f"{started}0" for pid, started in seen.items()}) == set()
    finally:
        child.kill()
        child.wait()
    assert child.pid not in guard_child.alive(seen)
