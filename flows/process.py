"""The main job: a corpus becomes rows in a results store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.runtime import deployment
from pydantic import Field

from emi_model.architecture.config import Precision
from emi_model.checkpoints.metadata import ModelMetadata
from emi_model.checkpoints.resolve import read_metadata
from emi_model.errors import ClusterError, StoreError
from flows.exclusive import exclusive, store_lock
from flows.server import run_names
from flows.server.artifacts import show_run
from flows.server.events import scores_committed
from tasks.cluster.budget import ScorerPool
from tasks.corpus.done import ScoringPlan, plan_clips
from tasks.corpus.listing import list_clips
from tasks.progress import observer
from tasks.provenance import new_run_id
from tasks.registry.registry import pin_model, resolve_model
from tasks.scoring.commit import Committer, RunStamp, Tally, recounted, splits_of_contents
from tasks.scoring.reuse import reuse
from tasks.scoring.run_record import RunRecord, RunState, ended, mark_killed, write_record
from tasks.scoring.score_clips import score_clips, scoring_cluster
from tasks.scoring.settings import Coverage, ScoringSettings
from tasks.store.compaction import compact
from tasks.store.store import ResultsStore, create_store

RETRY_SECONDS = [10.0, 60.0]
"""Waits before scoring is tried again, where it may heal."""


@dataclass
class Run:
    """A run in progress: its store, its record and what it has committed."""

    store: ResultsStore
    record: RunRecord
    tally: Tally

    @property
    def stamp(self) -> RunStamp:
        """Return what its rows have in common."""
        return self.record.stamp

    def write(self, record: RunRecord) -> dict[str, Any]:
        """Keep a newer record, in the store too; returns its row."""
        self.record = record
        return write_record(self.store, record, self.tally)


@flow(
    name="process-corpus",
    flow_run_name=run_names.scored,
    validate_parameters=True,
    persist_result=False,
)
@exclusive
def process_corpus(
    source: str,
    results: str,
    model: str,
    coverage: Coverage = "first",
    limit: Annotated[int | None, Field(ge=1)] = None,
    rescore: bool = False,
    workers: Annotated[int | None, Field(ge=1)] = None,
    precision: Precision = "auto",
    gpus_per_scorer: Annotated[float | None, Field(gt=0, le=1)] = None,
    ray_address: str | None = None,
    wait_minutes: Annotated[float, Field(ge=0)] = 0,
) -> dict[str, Any]:
    """Score every clip of a corpus that the results store has no row for.

    Args:
        source: folder, file or manifest.
        results: folder or bucket of the results store; made if it is not there.
        model: model folder, hub id, or ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        coverage: ``first`` scores the first window of a clip, as the paper does; ``full`` all.
        limit: take only the first so many clips.
        rescore: score clips again that have a row; the new rows replace the old ones.
        workers: scoring processes; default two, or one a GPU; on a cluster as many as it has room
            for, as it grows and shrinks.
        precision: ``fp32``, ``bf16``, ``int8`` (CPU), or ``auto``: what the machine does fast.
        gpus_per_scorer: GPUs of each scoring process, at most 1: by 0.5 two share a GPU.
        ray_address: Ray cluster to run on, ``HOST:PORT``; default: ``RAY_ADDRESS``, else Ray is
            started on this machine.
        wait_minutes: how long to wait while another run writes to the results store.

    Returns:
        The run's row in the ``runs`` table.

    Raises:
        CorpusError: the source holds no clips.
        CheckpointError: the model cannot be loaded.
        RegistryError: the registry does not give the model.
        StoreError: the results store is locked or foreign.
        ConfigError: ``workers`` or ``gpus_per_scorer`` is out of its range.
        ClusterError: Ray does not start, or the cluster cannot be joined.
        ScoringError: the workers cannot work.
    """
    pool = ScorerPool(workers, gpus_per_scorer)
    observer().begin("listing clips", None, "clips")
    started_at, started = datetime.now(UTC), time.perf_counter()
    clips = list_clips(source, limit)
    model = pin_model(model)
    folder = resolve_model(model)
    metadata = read_metadata(folder)
    store = create_store(results)
    with store_lock(store, wait_minutes):
        store.recover()
        mark_killed(store)
        stamp = _stamp(metadata, coverage)
        record = RunRecord(stamp, source, precision, started_at, num_listed=len(clips))
        with store.alive(stamp.run_id), _recorded(Run(store, record, Tally())) as run:
            plan = plan_clips(
                clips, store.done_clips(stamp.model_sha256, coverage), rescore=rescore
            )
            run.write(
                replace(
                    record,
                    num_skipped=plan.num_skipped,
                    num_adopted=len(plan.reusable),
                    list_seconds=time.perf_counter() - started,
                )
            )
            reuse_known(run, plan)
            settings = _settings(model, folder, metadata, coverage, precision)
            score_missing(run, plan, settings, pool, ray_address)
            compact(store, f"{stamp.run_id}-compact", superseded=plan.num_superseded > 0)
            run.record.check_counts(run.tally)
            row = _end(run, RunState.COMPLETED)
            show_run(row)
            return row


@task(name="adopt", cache_policy=NO_CACHE, persist_result=False)
def reuse_known(run: Run, plan: ScoringPlan) -> None:
    """Commit rows for clips whose content is known under another name."""
    if plan.reusable:
        observer().begin("taking over known content", len(plan.reusable), "clips")
        run.tally.add(reuse(run.store, plan.reusable, run.stamp))


def can_heal(_task: object, _run: object, state: State[Any]) -> bool:
    """Tell whether scoring may go on later: no cluster, or a storage that was not reached.

    Where nobody sits at the keyboard, that is: a command by hand says at once what is wrong. What
    a disk refuses has a number of the operating system, what a bucket refuses has none.
    """
    error = state.data
    cause = getattr(error, "__cause__", None)
    unreached = isinstance(cause, OSError) and cause.errno is None
    heals = isinstance(error, ClusterError) or (isinstance(error, StoreError) and unreached)
    return heals and deployment.id is not None


@task(
    name="score",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=can_heal,
)
def score_missing(
    run: Run,
    plan: ScoringPlan,
    settings: ScoringSettings,
    pool: ScorerPool,
    ray_address: str | None,
) -> None:
    """Extract and score clips on the cluster, and commit their rows as they come."""
    run_id = run.stamp.run_id
    known = recounted(run.tally, run.store, run_id) if run.tally.num_parts else set()
    todo = [clip for clip in plan.todo if clip.clip_id not in known]  # all, but on a retry
    if not todo:
        return
    observer().begin("starting workers", None, "")
    with (
        scoring_cluster(pool, ray_address) as budget,
        Committer(run.store, run.stamp, run.tally) as committer,
        closing(score_clips(todo, settings, budget)) as scored,
    ):
        observer().begin("scoring", len(todo), "clips")
        seen, started = Tally(), time.perf_counter()
        for rows in scored:
            committer.add(rows)
            seen.add(rows)
            speed = seen.audio_seconds / (time.perf_counter() - started)
            observer().advance(
                rows.num_rows, f"· {seen.rejected} rejected · {speed:.1f} audio-hours/h ·"
            )


@contextmanager
def _recorded(run: Run) -> Iterator[Run]:
    """Record how a run ends if it does not complete."""
    try:
        yield run
    except BaseException as error:
        stop = _told_to_stop(error)
        if stop is None:
            _end(run, RunState.FAILED, str(error).partition("\n")[0])
            raise
        _end(run, RunState.INTERRUPTED, "interrupted")
        raise stop from None


def _told_to_stop(error: BaseException | None) -> BaseException | None:
    """Return the signal, of Ctrl-C or of Prefect, that an error stands for; None: for none.

    One that comes within a library's compiled code shows as the cause of a `SystemError`.
    """
    while error is not None and not isinstance(error, (KeyboardInterrupt, TerminationSignal)):
        error = error.__cause__ if isinstance(error, SystemError) else None
    return error


def _end(run: Run, state: RunState, said: str | None = None) -> dict[str, Any]:
    """Record how a run ended, and tell the server; returns its row."""
    row = run.write(ended(run.record, state, said))
    scores_committed(row, run.store.location)
    return row


def _stamp(metadata: ModelMetadata, coverage: Coverage) -> RunStamp:
    return RunStamp(
        model=metadata.card.name,
        model_sha256=metadata.sha256,
        coverage=coverage,
        run_id=new_run_id(),
        backbone_licence=metadata.card.backbone_licence,
        targets=metadata.card.targets,
        training_splits=splits_of_contents(metadata.training_clips),
    )


def _settings(
    model: str, folder: str, metadata: ModelMetadata, coverage: Coverage, precision: Precision
) -> ScoringSettings:
    config = metadata.config
    return ScoringSettings(
        model=str(Path(folder).absolute()) if Path(folder).is_dir() else folder,
        targets=config.targets,
        max_seconds=config.clip_seconds if coverage == "first" else None,
        coverage=coverage,
        precision=precision,
        model_sha256=metadata.sha256,
        elsewhere=model if model != folder else None,
    )
