"""The main job: a corpus becomes rows in a results store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from emi_model.checkpoint import LoadedModel
from emi_model.config import Precision
from emi_model.reference import load_model
from flows.progress import observer
from tasks.adoption import adopt
from tasks.budget import Budget, machine_budget
from tasks.compaction import compact
from tasks.corpus import Plan, list_clips, plan_clips
from tasks.parts import Committer, RunStamp, Tally, splits_of_contents
from tasks.registry import resolve_model
from tasks.results import ResultsStore, create_store
from tasks.runs import RunRecord, RunState, ended, mark_killed, new_run_id, write_record
from tasks.scoring import score_clips, scoring_cluster
from tasks.settings import Coverage, ScoringSettings


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


@flow(name="process-corpus", validate_parameters=True, persist_result=False)
def process_corpus(
    source: str,
    results: str,
    model: str,
    coverage: Coverage = "first",
    limit: int | None = None,
    rescore: bool = False,
    workers: int | None = None,
    precision: Precision = "auto",
) -> dict[str, Any]:
    """Score every clip of a corpus that the results store has no row for.

    Args:
        source: folder, file or manifest.
        results: folder of the results store; made if it is not there.
        model: model folder, hub id, or ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        coverage: ``first`` scores the first window of a clip, as the paper does; ``full`` all.
        limit: take only the first so many clips.
        rescore: score clips again that have a row; the new rows replace the old ones.
        workers: scoring processes; default one, or one a GPU.
        precision: ``fp32``, or ``auto``.

    Returns:
        The run's row in the ``runs`` table.

    Raises:
        CorpusError: the source holds no clips.
        CheckpointError: the model cannot be loaded.
        RegistryError: the registry does not give the model.
        StoreError: the results store is locked or foreign.
        ScoringError: the workers cannot work.
    """
    observer().begin("listing clips", None, "clips")
    started_at, started = datetime.now(UTC), time.perf_counter()
    clips = list_clips(source, limit)
    model = resolve_model(model)
    loaded = load_model(model)
    budget = machine_budget(workers)
    store = create_store(Path(results))
    with store.lock():
        store.recover()
        mark_killed(store)
        stamp = _stamp(loaded, coverage)
        record = RunRecord(stamp, source, precision, started_at, num_listed=len(clips))
        with _recorded(Run(store, record, Tally())) as run:
            plan = plan_clips(
                clips, store.done_clips(stamp.model_sha256, coverage), rescore=rescore
            )
            run.write(
                replace(
                    record,
                    num_skipped=plan.num_skipped,
                    num_adopted=len(plan.adopted),
                    list_seconds=time.perf_counter() - started,
                )
            )
            adopt_known(run, plan)
            score_missing(run, plan, _settings(model, loaded, coverage, precision), budget)
            compact(store, f"{stamp.run_id}-compact", superseded=plan.num_superseded > 0)
            run.record.check_counts(run.tally)
            return run.write(ended(run.record, RunState.COMPLETED))


@task(name="adopt", cache_policy=NO_CACHE, persist_result=False)
def adopt_known(run: Run, plan: Plan) -> None:
    """Commit rows for clips whose content is known under another name."""
    if plan.adopted:
        observer().begin("taking over known content", len(plan.adopted), "clips")
        run.tally.add(adopt(run.store, plan.adopted, run.stamp))


@task(name="score", cache_policy=NO_CACHE, persist_result=False)
def score_missing(run: Run, plan: Plan, settings: ScoringSettings, budget: Budget) -> None:
    """Extract and score clips on the cluster, and commit their rows as they come."""
    if not plan.todo:
        return
    observer().begin("starting workers", None, "")
    with (
        scoring_cluster(budget),
        Committer(run.store, run.stamp, run.tally) as committer,
    ):
        observer().begin("scoring", len(plan.todo), "clips")
        seen, started = Tally(), time.perf_counter()
        for rows in score_clips(plan.todo, settings, budget):
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
    except KeyboardInterrupt:
        run.write(ended(run.record, RunState.INTERRUPTED, "interrupted"))
        raise
    except BaseException as error:
        run.write(ended(run.record, RunState.FAILED, str(error).partition("\n")[0]))
        raise


def _stamp(loaded: LoadedModel, coverage: Coverage) -> RunStamp:
    return RunStamp(
        model=loaded.card.name,
        model_sha256=loaded.sha256,
        coverage=coverage,
        run_id=new_run_id(),
        backbone_licence=loaded.card.backbone_licence,
        targets=loaded.card.targets,
        training_splits=splits_of_contents(loaded.training_clips),
    )


def _settings(
    model: str, loaded: LoadedModel, coverage: Coverage, precision: Precision
) -> ScoringSettings:
    config = loaded.model.config
    return ScoringSettings(
        model=str(Path(model).absolute()) if Path(model).is_dir() else model,
        targets=config.targets,
        max_seconds=config.clip_seconds if coverage == "first" else None,
        coverage=coverage,
        precision=precision,
    )
