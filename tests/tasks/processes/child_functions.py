"""What tests run in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tasks.processes.own_child import Send, own_child


def send_twice_and_fail(argument: Any, send: Send) -> None:
    """Send the argument twice, then fail."""
    sys.stdout.write("on standard output\n")
    send(argument)
    send(argument)
    raise ValueError("of the child")


def tell_and_wait(_: None, send: Send) -> None:
    """Send what the process has been given, and the id of a child of its own; then wait."""
    other = subprocess.Popen(["sleep", "60"])
    disliked = Path("/proc/self/oom_score_adj")
    send(
        {
            "threads": os.environ["OMP_NUM_THREADS"],
            "folder": str(Path.cwd()),
            "other": other.pid,
            "disliked": disliked.read_text().strip() if disliked.exists() else "1000",
        }
    )
    time.sleep(60)


def start_one_and_die() -> None:
    """Start such a child, print its id and that of its child, and die at once."""
    with own_child(tell_and_wait, None, threads=1) as child:
        found = next(child.messages())
        sys.stdout.write(f"{child.pid} {found['other']}\n")
        sys.stdout.flush()
        os.kill(os.getpid(), 9)
