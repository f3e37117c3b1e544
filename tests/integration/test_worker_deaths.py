"""A worker that dies takes no clip with it but the one that killed it."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest
import ray

from emi_model.errors import ScoringError
from emi_model.targets import EMI_TARGETS
from tasks.cluster.budget import ScorerPool
from tasks.corpus.listing import list_clips
from tasks.processes.guard_child import MARK, _marked
from tasks.scoring.score_clips import score_clips, scoring_cluster
from tasks.scoring.settings import ScoringSettings

# Ray's own map keywords are deprecated without a successor in this version.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def settings(model):
    return ScoringSettings(str(model), EMI_TARGETS, 12.0, "first", "fp32")


@pytest.fixture(scope="module")
def budget(ffmpeg_that):
    """A cluster is there in which a clip called killer kills the worker that extracts it."""
    deadly = ffmpeg_that('case "$*" in *killer*) kill -9 $PPID;; esac')
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EMI_FFMPEG", str(deadly))
        with scoring_cluster(ScorerPool()) as budget:
            yield budget


def score_all(clips, settings, budget):
    """Score clips; returns rows by clip id and how often each came."""
    rows, counts = {}, Counter()
    for part in score_clips(clips, settings, budget):
        for row in part.to_pylist():
            rows[row["clip_id"]] = row
            counts[row["clip_id"]] += 1
    return rows, counts


def test_a_scorer_that_is_killed_costs_no_clip(corpus, settings, budget):
    killed, ended = [], threading.Event()

    def kill_a_scorer():
        me = psutil.Process(os.getpid())
        while not ended.is_set():
            for process in me.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    name = process.name()
                    if "ScorerActor" in name and ".__init__" not in name:
                        process.kill()
                        killed.append(process.pid)
                        return
            time.sleep(0.02)

    killer = threading.Thread(target=kill_a_scorer)
    killer.start()
    clips = list_clips(str(corpus))
    try:
        rows, counts = score_all(clips, settings, budget)
    finally:
        ended.set()
        killer.join()
    assert killed
    assert rows.keys() == {clip.clip_id for clip in clips}
    assert set(counts.values()) == {1}
    assert sum(row["status"] == "scored" for row in rows.values()) == 48
    assert "worker_died" not in {row["reason"] for row in rows.values()}


def test_a_ledger_that_is_killed_ends_the_run_in_words(corpus, settings, budget):
    seen, killed, ended = [], [], threading.Event()

    def kill_ledgers():
        while not ended.wait(0.3):  # one that dies before it is made is made again
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.name().startswith("ray::Ledger") and process.pid not in seen:
                        seen.append(process.pid)
                    elif process.pid in seen:
                        process.kill()
                        killed.append(process.pid)

    killer = threading.Thread(target=kill_ledgers)
    killer.start()
    try:
        with pytest.raises(ScoringError, match="the ledger, the process of this run that notes"):
            score_all(list_clips(str(corpus)), settings, budget)
    finally:
        ended.set()
        killer.join()
    assert killed


def test_a_clip_that_kills_its_worker_is_rejected_and_the_rest_scored(
    corpus, settings, budget, tmp_path
):
    source = tmp_path / "source"
    source.mkdir()
    for index, clip in enumerate(sorted(corpus.glob("*/clip_*.mp4"))[:12]):
        shutil.copy(clip, source / (f"killer{index}.mp4" if index in (5, 6) else f"{index}.mp4"))
    rows, counts = score_all(list_clips(str(source)), settings, budget)
    assert len(rows) == 12
    assert set(counts.values()) == {1}
    dead = {name: row for name, row in rows.items() if row["status"] == "rejected"}
    assert dead.keys() == {"killer5.mp4", "killer6.mp4"}
    for row in dead.values():
        assert row["reason"] == "worker_died"
        assert row["content_sha256"] is not None


def test_all_of_rays_processes_bear_the_mark_of_the_guard(budget):
    """By it those are found that no look around has seen, whatever they call themselves."""
    wanted = {"ray::DashboardAgent", "ray::RuntimeEnvAgent", "raylet", "gcs_server"}
    deadline = time.monotonic() + 120
    while not wanted.issubset(rays_processes().values()):
        assert time.monotonic() < deadline, rays_processes()
    time.sleep(1)  # a process has its name before its title is written
    marked = _marked(f"{MARK}={os.environ[MARK]}".encode())
    alive = rays_processes()
    assert {pid: name for pid, name in alive.items() if pid not in marked} == {}


def rays_processes():
    """Names of the processes below this one that began with Ray's first, or later."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = process.name(), process.create_time()
    first = min((begun for name, begun in found.values() if name == "gcs_server"), default=0)
    return {pid: name for pid, (name, begun) in found.items() if begun >= first}


REFUSED = """
import sys
from ray._raylet import GcsClient
try:
    GcsClient(address=sys.argv[1]).internal_kv_put(b"emi", b"foreign", True, None)
except Exception as error:
    print(type(error).__name__)
else:
    print("taken")
"""


def test_another_user_of_the_machine_does_not_reach_the_cluster(budget, tmp_path):
    """Its ports are on loopback, callers need the token, its sockets are in a private folder."""
    info = ray._private.worker._global_node.address_info
    without = {name: os.environ[name] for name in os.environ if not name.startswith("RAY_AUTH")}
    foreign = without | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    submit = [sys.executable, "-c", REFUSED, info["gcs_address"]]
    for environment in (without, foreign):
        done = subprocess.run(submit, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["AuthenticationError"]
    done = subprocess.run(submit, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["taken"]

    me = psutil.Process()
    rays = {process.pid for process in (me, *me.children(recursive=True))}
    listening = [
        ip_address(connection.laddr.ip.removeprefix("::ffff:"))
        for connection in psutil.net_connections("inet")
        if connection.pid in rays and connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4
    assert [address for address in listening if not address.is_loopback] == []

    folder = Path(info["session_dir"]).parents[1]  # Ray opens its own folder to everyone
    assert folder.stat().st_mode & 0o077 == 0
    assert Path(info["raylet_socket_name"]).is_relative_to(folder)

    searched, current = ray.get(ray.remote(num_cpus=0)(lambda: (sys.path, Path.cwd())).remote())
    assert current == folder
    assert searched[0] == str(folder)  # Ray puts the folder first in which the driver starts it
