from __future__ import annotations

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
