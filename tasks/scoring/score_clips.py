"""Puts clips through the stages of a run, on a Ray cluster or here, also when workers die.

Ray is imported where it is needed: a run of a few clips does without.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

import pyarrow as pa

from emi_model.devices import available_cores, available_gpus
from tasks.cluster.budget import Budget, ScorerPool, cluster_budget, machine_budget
from tasks.corpus.clips import ClipFile
from tasks.extraction.rows import listed_row
from tasks.schema.outcomes import Reason, rejected
from tasks.schema.scores import COSTS, WORKED
from tasks.scoring.clip_scorer import without_scores
from tasks.scoring.settings import ScoringSettings
from tasks.scoring.stages.failed_passes import (
    MAX_CLIP_DEATHS,
    FailureBudget,
    detail_of,
    log_failure,
)
from tasks.scoring.stages.in_process import are_few, run_pass_here
from tasks.scoring.stages.ledger import SCORE, TRANSCRIBE
from tasks.scoring.stages.score_stage import ScorerActor, scorers_schema
from tasks.scoring.stages.stage import (
    CLIPS_PER_BLOCK,
    CLIPS_PER_GPU_BATCH,
    ActorStage,
    PassFailed,
    Work,
)
from tasks.scoring.stages.transcribe_stage import CLIPS_TO_TRANSCRIBE, TranscriberActor

CLIPS_PER_PASS = 20_000
"""Clips in one Ray Data execution: many, so that models are loaded rarely."""

CLIPS_PER_GPU_PASS = 100_000
"""The same with GPUs: one scores 20,000 in half a minute, and loading takes a quarter of one. The
run's main process needs 4 KB a clip."""

Pass = Callable[[list[ClipFile], bool], Generator[pa.Table, None, None]]
"""Puts clips through the stages, and if the second argument is true one at a time."""


@contextmanager
def rows_made(
    clips: Sequence[ClipFile],
    work: Work,
    pool: ScorerPool,
    address: str | None = None,
    *,
    isolated: bool = False,
) -> Iterator[Generator[pa.Table, None, None]]:
    """Put clips through the stages of a run: a few in this process, more on Ray.

    Args:
        clips: the clips.
        work: what is done with them.
        pool: number of scorers and their GPUs, as requested.
        address: of a cluster, as `tasks.cluster.connection.ray_cluster` takes it.
        isolated: only on Ray, whose workers may die without ending this process.

    Returns:
        A generator of rows under the work's schema, one for every clip.

    Raises:
        EmiError: as `scoring_cluster` and `work_through`.
    """
    if isolated or not are_few(clips, work, pool, address):
        with (
            scoring_cluster(pool, address, stages=len(work.stages)) as budget,
            closing(work_through(clips, work, budget)) as made,
        ):
            yield made
        return
    here = machine_budget(pool, gpus=available_gpus(), stages=len(work.stages)).alone()

    def in_this_process(some: list[ClipFile], single: bool) -> Generator[pa.Table, None, None]:
        return run_pass_here(some, work, here, one_by_one=single)

    with closing(_work_through(clips, work, in_this_process)) as made:
        yield made


@contextmanager
def scoring_cluster(
    pool: ScorerPool, address: str | None = None, *, stages: int = 1
) -> Iterator[Budget]:
    """Join a cluster, or start Ray with the cores that extraction and the stages of actors take.

    Args:
        pool: number of scorers and their GPUs, as requested.
        address: of the cluster, as `tasks.cluster.connection.ray_cluster` takes it.
        stages: of actors.

    Returns:
        How the cores and GPUs of the cluster or the machine are shared.

    Raises:
        ClusterError: Ray does not start, or the cluster cannot be joined.
        ConfigError: GPUs were requested, and there are none.
    """
    from tasks.cluster.connection import ray_cluster
    from tasks.cluster.joined import joins
    from tasks.cluster.nodes import node_sizes

    if joins(address):
        with ray_cluster(available_cores(), address):
            yield cluster_budget(pool, node_sizes(), stages=stages)
        return
    budget = machine_budget(pool, gpus=available_gpus(), stages=stages)
    cpus = math.ceil(stages * budget.scorers * budget.cpus_per_scorer) + budget.decoders
    with ray_cluster(cpus, address):
        yield budget


def score_clips(
    clips: Sequence[ClipFile], settings: ScoringSettings, budget: Budget
) -> Generator[pa.Table, None, None]:
    """Score clips; yield rows under `tasks.schema.scores.costed_schema`, one for every clip.

    Raises:
        EmiError: as `work_through`.
    """
    return work_through(clips, scoring_work(settings), budget)


def scoring_work(
    settings: ScoringSettings, known: Callable[[Sequence[ClipFile]], pa.Table] | None = None
) -> Work:
    """Return what a run does that scores clips.

    Args:
        settings: of the workers; with a transcription, that is a stage before the scoring.
        known: returns the transcripts that the store has of the contents of some clips.
    """
    free = dict.fromkeys((cost.name for cost in COSTS), 0)
    nowhere = dict.fromkeys(column.name for column in WORKED)
    return Work(
        extraction=settings.of_decoders(),
        stages=(*_before(settings, known), _scoring(settings)),
        schema=scorers_schema(settings),
        finished=lambda row: without_scores(row, settings.targets) | free | nowhere,
        clips_per_block=CLIPS_TO_TRANSCRIBE if settings.transcription else CLIPS_PER_BLOCK,
    )


def _before(
    settings: ScoringSettings, known: Callable[[Sequence[ClipFile]], pa.Table] | None
) -> list[ActorStage]:
    if settings.transcription is None:
        return []
    return [ActorStage(TRANSCRIBE, TranscriberActor, settings.transcription, given=known)]


def _scoring(settings: ScoringSettings) -> ActorStage:
    """Return the stage of scorers; behind slow transcribers one waits for several blocks."""
    if settings.transcription:
        return ActorStage(SCORE, ScorerActor, settings, CLIPS_PER_BLOCK, CLIPS_PER_BLOCK)
    return ActorStage(SCORE, ScorerActor, settings, CLIPS_PER_GPU_BATCH)


def work_through(
    clips: Sequence[ClipFile], work: Work, budget: Budget
) -> Generator[pa.Table, None, None]:
    """Put clips through the stages of a run on Ray; yield rows under its schema, one a clip.

    If a worker dies, its pass ends. The missing clips are run again, and its own clips one at a
    time; a clip with which a worker dies again is rejected as ``worker_died``. A lost node ends
    the pass, too, but no clip is suspected.

    Raises:
        EmiError: workers cannot work at all.
    """
    from tasks.cluster.nodes import node_sizes
    from tasks.scoring.passes import run_pass

    def on_ray(some: list[ClipFile], single: bool) -> Generator[pa.Table, None, None]:
        if single:  # suspects run one at a time, so that a death has one suspect
            return run_pass(some, work, replace(budget.alone(), decoders=1), one_by_one=True)
        here = budget.for_nodes(node_sizes()) if budget.elastic else budget
        return run_pass(some, work, here)

    at_once = CLIPS_PER_GPU_PASS if budget.gpus_per_scorer else CLIPS_PER_PASS
    for start in range(0, len(clips), at_once):
        yield from _work_through(clips[start : start + at_once], work, on_ray)


def _work_through(
    clips: Sequence[ClipFile], work: Work, run_pass: Pass
) -> Generator[pa.Table, None, None]:
    missing = {clip.clip_id: clip for clip in clips}
    deaths: Counter[str] = Counter()
    details: dict[str, str] = {}
    failures = FailureBudget()
    while missing:
        trusted = [clip for clip in missing.values() if not deaths[clip.clip_id]]
        single = not trusted
        try:
            with closing(run_pass(trusted or list(missing.values()), single)) as run:
                for rows in run:
                    failures.renew()
                    for clip_id in rows["clip_id"].to_pylist():
                        del missing[clip_id]
                    yield rows
        except PassFailed as death:
            suspects = death.suspects & missing.keys()
            log_failure(death, suspects)
            deaths.update(suspects)
            details |= dict.fromkeys(suspects, detail_of(death))
            failures.count(death, suspects, single=single)
        fatal = [
            missing.pop(name)
            for name, count in deaths.items()
            if count >= MAX_CLIP_DEATHS and name in missing
        ]
        if fatal:
            yield _dead_rows(fatal, work, details)


def _dead_rows(clips: Sequence[ClipFile], work: Work, details: Mapping[str, str]) -> pa.Table:
    rows = [
        work.finished(rejected(listed_row(clip), Reason.WORKER_DIED, details[clip.clip_id]))
        for clip in clips
    ]
    return pa.Table.from_pylist(rows, work.schema)
