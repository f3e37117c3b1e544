"""The scoring cluster: Ray, and clips scored on it whatever happens to its workers."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa

from emi_model.errors import ScoringError
from tasks.budget import Budget
from tasks.clips import ClipFile, listed_row, rejected
from tasks.cluster import ray_cluster
from tasks.outcomes import Reason
from tasks.pipeline import PassDied, run_pass
from tasks.rows import without_scores
from tasks.schemas import COSTS, costed_schema
from tasks.settings import ScoringSettings

LOGGER = logging.getLogger(__name__)

CLIPS_PER_PASS = 20_000
"""Clips in one Ray Data execution: many, so that the model is loaded seldom."""

MAX_DEATHS = 2
"""A clip that was held alone by a worker that died, after it was suspected, is not tried again."""

MAX_IDLE_DEATHS = 3
"""Passes in a row that may die without a suspect and without a row before the run gives up."""


@contextmanager
def scoring_cluster(budget: Budget) -> Iterator[None]:
    """Start Ray with the cores that scoring and extracting clips take.

    Raises:
        ClusterError: Ray does not start.
    """
    scoring_cpus = 0 if budget.gpus_per_scorer else budget.scorers * budget.threads_per_scorer
    with ray_cluster(scoring_cpus + budget.decoders):
        yield


def score_clips(
    clips: Sequence[ClipFile], settings: ScoringSettings, budget: Budget
) -> Iterator[pa.Table]:
    """Score clips; yields rows under `tasks.schemas.costed_schema`, one for every clip.

    A worker that dies takes its pass with it: what is missing is run again, the clips that it held
    one at a time. The clip that a worker dies with then is rejected as ``worker_died``.

    Raises:
        ScoringError: workers cannot work at all.
    """
    for start in range(0, len(clips), CLIPS_PER_PASS):
        yield from _score_all(clips[start : start + CLIPS_PER_PASS], settings, budget)


def _score_all(
    clips: Sequence[ClipFile], settings: ScoringSettings, budget: Budget
) -> Iterator[pa.Table]:
    missing = {clip.clip_id: clip for clip in clips}
    deaths: Counter[str] = Counter()
    idle = 0
    while missing:
        trusted = [clip for clip in missing.values() if not deaths[clip.clip_id]]
        single = not trusted
        try:
            for rows in _pass(trusted or list(missing.values()), settings, budget, single):
                idle = 0
                for clip_id in rows["clip_id"].to_pylist():
                    del missing[clip_id]
                yield rows
        except PassDied as death:
            suspects = death.suspects & missing.keys()
            LOGGER.warning("a worker died holding %s: %s", sorted(suspects) or "no clip", death)
            deaths.update(suspects)
            idle = 0 if suspects else idle + 1
            if idle == MAX_IDLE_DEATHS:
                raise ScoringError(f"workers die before they take a clip: {death}") from death
        fatal = [
            missing.pop(name) for name, count in deaths.items() if _is_fatal(name, count, missing)
        ]
        if fatal:
            yield _dead_rows(fatal, settings)


def _is_fatal(clip_id: str, count: int, missing: dict[str, ClipFile]) -> bool:
    return count >= MAX_DEATHS and clip_id in missing


def _pass(
    clips: list[ClipFile], settings: ScoringSettings, budget: Budget, single: bool
) -> Iterator[pa.Table]:
    """Run one pass; suspects go one at a time, so that a death names one clip."""
    if not single:
        return run_pass(clips, settings, budget)
    alone = replace(budget, scorers=1, decoders=1)
    return run_pass(clips, settings, alone, clips_per_block=1)


def _dead_rows(clips: Sequence[ClipFile], settings: ScoringSettings) -> pa.Table:
    detail = f"the worker process died {MAX_DEATHS} times with this clip, the last time alone"
    free = dict.fromkeys((cost.name for cost in COSTS), 0)
    rows = [
        without_scores(rejected(listed_row(clip), Reason.WORKER_DIED, detail), settings.targets)
        | free
        for clip in clips
    ]
    return pa.Table.from_pylist(rows, costed_schema(settings.targets))
