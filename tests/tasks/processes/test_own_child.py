from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tasks.processes.own_child import own_child
from tests.tasks.processes.child_functions import send_twice_and_fail, tell_and_wait


def gone(*pids: int) -> bool:
    """Return whether processes have ended, or end within seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
        if all(one.status() == psutil.STATUS_ZOMBIE for one in found):
            return True
        time.sleep(0.02)
    return False


def test_what_the_function_sends_arrives_before_its_end(capfd: pytest.CaptureFixture[str]) -> None:
    large = {"clips": ["a clip"] * 20_000}  # more than a pipe holds
    with own_child(send_twice_and_fail, large, threads=1) as child:
        assert list(child.messages()) == [large, large]
        assert child.how_it_ended() == "its process ended with exit status 1"
    out, err = capfd.readouterr()
    assert out == ""
    assert "on standard output" in err
    assert "ValueError: of the child" in err


def test_a_killed_child_is_said_to_be_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with own_child(tell_and_wait, None, threads=3) as child:
        messages = child.messages()
        found = next(messages)
        assert (found["threads"], found["folder"], found["disliked"]) == ("3", "/", "1000")
        psutil.Process(child.pid).send_signal(signal.SIGKILL)
        assert list(messages) == []
        memory = "its process was killed by signal 9, as the system does where memory runs out"
        assert child.how_it_ended() == memory
    with own_child(tell_and_wait, None, threads=1) as child:
        found = next(child.messages())
    assert gone(child.pid, found["other"])


def test_a_child_and_what_it_started_die_with_this_process() -> None:
    code = "from tests.tasks.processes.child_functions import start_one_and_die as f; f()"
    started = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert started.returncode == -signal.SIGKILL, started.stderr
    assert gone(*map(int, started.stdout.split()))
