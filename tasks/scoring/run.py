"""The main job as a plain function: a corpus becomes rows in a results store.

It lists the corpus, plans what is missing, reuses rows of equal content, scores the rest and
records how the run ended. `flows.process` schedules it; it also runs without Prefect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emi_model.architecture.config import Precision
from emi_model.checkpoints.metadata import ModelMetadata
from emi_model.checkpoints.resolve import read_metadata
from emi_model.errors import StoreError
from tasks.cluster.budget import ScorerPool
from tasks.corpus.done import ScoringPlan, done_clips, plan_clips
from tasks.corpus.listing import list_clips
from tasks.corpus.passed_over import PassedOver, in_words, most_frequent
from tasks.corpus.standing import is_one_file, note_current, note_listing
from tasks.processes import ending
from tasks.progress import observer
from tasks.provenance import new_run_id
from tasks.registry.registry import is_champion, pin_model, resolve_model
from tasks.scoring.commit import Committer, RunStamp, Tally, recounted, splits_of_contents
from tasks.scoring.reuse import renew, reuse
from tasks.scoring.run_record import RunRecord, RunState, ended, mark_killed, write_record
from tasks.scoring.score_clips import score_clips, scoring_cluster
from tasks.scoring.settings import Coverage, ScoringSettings
from tasks.store.compaction import compact
from tasks.store.store import ResultsStore, create_store

STOP_POLL_SECONDS = 1.0
"""Pause between attempts to lock a store."""

OnEnd = Callable[[dict[str, Any], str], None]
"""Called with the run's row and the store's location when a run ends, also with an error."""


@dataclass
class Run:
    """A run in progress: its store, its record and the totals of its commits."""

    store: ResultsStore
    record: RunRecord
    tally: Tally

    @property
    def stamp(self) -> RunStamp:
        """Return the values that all its rows share."""
        return self.record.stamp

    def write(self, record: RunRecord) -> dict[str, Any]:
        """Replace the record, in the store too; return its row."""
        self.record = record
        return write_record(self.store, record, self.tally)


def reuse_rows(run: Run, plan: ScoringPlan) -> None:
    """Commit rows for clips that were moved, or whose content has a row under another name."""
    renew(run.store, plan.moved, run.stamp)
    if plan.reusable:
        observer().begin("reusing rows of equal content", len(plan.reusable), "clips")
        run.tally.add(reuse(run.store, plan.reusable, run.stamp))


def score_missing(
    run: Run,
    plan: ScoringPlan,
    settings: ScoringSettings,
    pool: ScorerPool,
    ray_address: str | None,
) -> None:
    """Extract and score clips on the cluster, and commit their rows as they come.

    After an error it can be called again: it skips clips that the run has committed.
    """
    run_id = run.stamp.run_id
    committed = recounted(run.tally, run.store, run_id) if run.tally.num_parts else set()
    todo = [clip for clip in plan.todo if clip.clip_id not in committed]
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


def score_corpus(
    source: str,
    results: str,
    model: str,
    *,
    coverage: Coverage = "first",
    limit: int | None = None,
    rescore: bool = False,
    precision: Precision = "auto",
    pool: ScorerPool | None = None,
    ray_address: str | None = None,
    wait_minutes: float = 0,
    on_end: OnEnd | None = None,
    interrupts: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
    reuse_stage: Callable[[Run, ScoringPlan], None] = reuse_rows,
    score_stage: Callable[
        [Run, ScoringPlan, ScoringSettings, ScorerPool, str | None], None
    ] = score_missing,
) -> dict[str, Any]:
    """Score every clip of a corpus that the results store has no row for.

    Args:
        source: folder, file or manifest.
        results: folder or bucket of the results store; created if missing.
        model: model folder, hub id, or ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        coverage: ``first`` scores the first window of a clip, as the paper does; ``full`` all.
        limit: number of clips to take at most, from the first.
        rescore: score clips again that have a row; the new rows replace the old ones.
        precision: ``fp32``, ``bf16``, ``int8`` (CPU), or ``auto``: the machine's fast type.
        pool: number of scoring processes and their GPUs; default: see `ScorerPool`.
        ray_address: Ray cluster to run on, ``HOST:PORT``; None starts Ray on this machine.
        wait_minutes: how long to wait while another run writes to the results store.
        on_end: called with the run's row and the store's location.
        interrupts: exceptions that stop the run; it is then recorded as interrupted.
        reuse_stage: `reuse_rows`, or a scheduler's wrapper of it.
        score_stage: `score_missing`, or a scheduler's wrapper of it.

    Returns:
        The run's row in the ``runs`` table.

    Raises:
        EmiError: see `flows.process.process_corpus`.
    """
    pool = pool or ScorerPool(None, None)
    observer().begin("listing clips", None, "clips")
    started_at, started = datetime.now(UTC), time.perf_counter()
    passed = PassedOver()
    clips = list_clips(source, limit, passed)
    if passed:
        observer().note(f"passed over: {in_words(passed)}")
    model = pin_model(model)
    champion = is_champion(model)
    folder = resolve_model(model)
    metadata = read_metadata(folder)
    store = create_store(results)
    with store_lock(store, wait_minutes):
        store.recover()
        mark_killed(store)
        stamp = _stamp(metadata, coverage)
        record = RunRecord(
            stamp,
            source,
            precision,
            started_at,
            num_listed=len(clips),
            passed_over=most_frequent(passed),
        )
        run = Run(store, record, Tally())
        with store.alive(stamp.run_id), _recorded(run, on_end, interrupts):
            note_listing(store, source, clips, whole=limit is None)
            plan = plan_clips(
                clips, done_clips(store, stamp.model_sha256, coverage), rescore=rescore
            )
            planned = replace(
                record,
                num_skipped=plan.num_skipped,
                num_adopted=len(plan.reusable),
                list_seconds=time.perf_counter() - started,
            )
            run.write(planned)
            reuse_stage(run, plan)
            settings = _settings(model, folder, metadata, coverage, precision)
            score_stage(run, plan, settings, pool, ray_address)
            compact(store, f"{stamp.run_id}-compact", superseded=plan.replaces_rows)
            run.record.check_counts(run.tally)
            if limit is None and not is_one_file(source, clips):
                _make_current(run, is_champion=champion)
            return _end(run, on_end, RunState.COMPLETED)


@contextmanager
def store_lock(store: ResultsStore, wait_minutes: float) -> Iterator[None]:
    """Lock a store for writing.

    Args:
        store: the store.
        wait_minutes: how long to wait while another run writes to it.

    Raises:
        StoreError: another run still writes to it.
    """
    deadline = time.monotonic() + 60 * wait_minutes
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(store.lock())
                break
            except StoreError:
                if time.monotonic() > deadline:
                    raise
            observer().begin("waiting for another run", None, "")
            time.sleep(STOP_POLL_SECONDS)
        yield


@contextmanager
def _recorded(
    run: Run, on_end: OnEnd | None, interrupts: tuple[type[BaseException], ...]
) -> Iterator[None]:
    """Record how a run ends if an exception ends it, or a signal that no exception came from."""

    def record(error: BaseException) -> None:
        if isinstance(error, interrupts):
            _end(run, on_end, RunState.INTERRUPTED, "interrupted")
        else:
            _end(run, on_end, RunState.FAILED, str(error).partition("\n")[0])

    try:
        with ending.recorded_by(record):
            yield
    except BaseException as error:
        why = ending.cause() or _interrupt_in(error, interrupts) or error
        record(why)
        if why is not error:
            raise why from None
        raise


def _interrupt_in(
    error: BaseException | None, interrupts: tuple[type[BaseException], ...]
) -> BaseException | None:
    """Return the interrupt in an error, in compiled code the cause of a SystemError; or None."""
    while error is not None and not isinstance(error, interrupts):
        error = error.__cause__ if isinstance(error, SystemError) else None
    return error


def _end(
    run: Run, on_end: OnEnd | None, state: RunState, message: str | None = None
) -> dict[str, Any]:
    """Record how a run ended, and report it; return its row."""
    row = run.write(ended(run.record, state, message))
    if on_end is not None:
        on_end(row, run.store.location)
    return row


def _make_current(run: Run, *, is_champion: bool) -> None:
    """Let the view of scores show this run's model and coverage."""
    stamp = run.stamp
    note_current(
        run.store,
        model=stamp.model,
        model_sha256=stamp.model_sha256,
        coverage=stamp.coverage,
        run_id=stamp.run_id,
        is_champion=is_champion,
    )


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
        needs=metadata.modalities,
    )
