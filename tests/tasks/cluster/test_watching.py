from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from ray._private import services

from emi_model.errors import ClusterError
from tasks.cluster.connection import ray_cluster
from tasks.cluster.watching import LostHead, OwnProcesses, watched_ray
from tasks.processes import ending


def test_a_head_is_lost_once_nobody_has_answered_for_some_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        head = LostHead(f"127.0.0.1:{port}", gone_seconds=0.0)
        assert head() is None
    found = head()
    assert found is not None
    assert f"127.0.0.1:{port}: the head of the Ray cluster has not answered" in found
    assert LostHead(f"127.0.0.1:{port}")() is None  # not yet for long


def test_which_of_rays_processes_has_died_is_named(tmp_path: Path) -> None:
    """Each is in a session of its own, and some are of no importance."""
    own = OwnProcesses()
    started = []
    with own.starting():
        for name in ("log_monitor", "raylet"):
            program = tmp_path / name
            program.symlink_to("/bin/sleep")
            started.append(services.ConsolePopen([str(program), "600"]))
    assert [os.getsid(process.pid) for process in started] == [process.pid for process in started]
    for process, expected in zip(started, (None, "raylet"), strict=True):
        assert own.dead() is None
        process.kill()
        process.wait()
        found = own.dead()
        assert (found and found.partition(" on this")[0]) == (
            expected and "Ray's node process (raylet)"
        )
    assert found is not None
    assert "has died (killed by signal 9): what was committed stays" in found


def test_a_problem_ends_the_process_only_during_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, asked = threading.Event(), list[str]()

    def end_with(error: Exception) -> None:
        asked.append(str(error))
        ended.set()

    monkeypatch.setattr("tasks.cluster.watching.WATCH_SECONDS", 0.01)
    monkeypatch.setattr(ending, "end_with", end_with)
    with watched_ray(lambda: None):
        pass
    with watched_ray(lambda: "Ray has died"):
        assert ended.wait(10)
    assert asked == ["Ray has died"]


def test_ctrl_c_acts_as_before_once_ray_is_not_used_any_more() -> None:
    """Else a notebook could be interrupted once, and never again."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ClusterError, match="no Ray cluster answers"), ray_cluster(1, "127.0.0.1:1"):
        raise AssertionError("nobody listens there")
    assert signal.getsignal(signal.SIGINT) is before
