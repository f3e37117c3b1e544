"""A worker that dies takes no clip with it but the one that killed it."""

import contextlib
import os
import shutil
import threading
import time
from collections import Counter

import psutil
import pytest

from emi_model.targets import EMI_TARGETS
from tasks.cluster.budget import ScorerPool
from tasks.corpus.listing import list_clips
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
    killed = []

    def kill_a_scorer():
        me = psutil.Process(os.getpid())
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
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
    rows, counts = score_all(clips, settings, budget)
    killer.join()
    assert killed
    assert rows.keys() == {clip.clip_id for clip in clips}
    assert set(counts.values()) == {1}
    assert sum(row["status"] == "scored" for row in rows.values()) == 48
    assert "worker_died" not in {row["reason"] for row in rows.values()}


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
