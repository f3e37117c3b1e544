"""A job over a corpus: it is listed, what is missing is planned, reused or made, and committed.

What differs between jobs (which table says that a clip is done, what workers do with it, which
rows are reused) is in a `Job`. `run_job` is the machinery that all share.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from emi_model.errors import StoreError
from tasks.cluster.budget import ScorerPool
from tasks.corpus.clips import ClipFile
from tasks.corpus.done import DoneClip, ScoringPlan, plan_clips
from tasks.corpus.listing import list_clips
from tasks.corpus.passed_over import PassedOver, in_words, most_frequent
from tasks.corpus.standing import is_one_file, note_listing
from tasks.processes import ending
from tasks.progress import observer
from tasks.scoring.commit import Committer, RunStamp, Tally, newest_row, recounted
from tasks.scoring.run_record import RunRecord, RunState, ended, mark_killed, write_record
from tasks.scoring.score_clips import rows_made
from tasks.scoring.stages.stage import Work
from tasks.storage.locks import LockHeld
from tasks.storage.open import is_remote, local_path
from tasks.store.compaction import compact
from tasks.store.store import ResultsStore, create_store

STOP_POLL_SECONDS = 1.0
"""Pause between attempts to lock a store."""

OnEnd = Callable[[dict[str, Any], str], None]
"""Called with the run's row and the store's location when a run ends, also with an error."""


class Job(ABC):
    """What a run makes of each clip, and where its rows go.

    Attributes:
        stamp: values that all its rows share.
        precision: numerics requested.
        doing: what it does, for the progress bar: "scoring".
        tables: the leading tables that it writes; of the first every clip gets a row.
        settings: of its workers.
    """

    stamp: RunStamp
    precision: str
    doing: str
    tables: tuple[str, ...]
    settings: Any

    @property
    def by_name(self) -> bool:
        """Return whether what it makes of a clip depends on the clip's name, too."""
        return False

    @abstractmethod
    def work(self, store: ResultsStore) -> Work:
        """Return what workers do with a clip."""

    @abstractmethod
    def done_clips(self, store: ResultsStore) -> dict[str, DoneClip]:
        """Return the latest rows of this job's kind by clip id."""

    @abstractmethod
    def tables_of(self, rows: pa.Table) -> Mapping[str, pa.Table]:
        """Return the tables of a part, from rows of the last stage."""

    @abstractmethod
    def reuse(self, store: ResultsStore, reused: Sequence[tuple[ClipFile, str]]) -> pa.Table:
        """Commit rows for clips whose content has one under another name; return them."""

    @abstractmethod
    def renew(self, store: ResultsStore, moved: Sequence[ClipFile]) -> None:
        """Commit the rows of clips that are done with where these lie now."""

    def conclude(self, store: ResultsStore) -> None:  # noqa: B027 - most jobs have nothing to add
        """Note in the store what follows from a run over a whole corpus."""


@dataclass
class Run:
    """A run in progress.

    Attributes:
        job: what it makes.
        store: where its rows go.
        record: of the run.
        tally: totals of its commits.
        after_kill: the last run of the store was killed, maybe by a clip.
    """

    job: Job
    store: ResultsStore
    record: RunRecord
    tally: Tally
    after_kill: bool = False

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
    run.job.renew(run.store, plan.moved)
    if plan.reusable:
        observer().begin("reusing rows of equal content", len(plan.reusable), "clips")
        run.tally.add(run.job.reuse(run.store, plan.reusable))


def do_missing(run: Run, plan: ScoringPlan, pool: ScorerPool, ray_address: str | None) -> None:
    """Put clips through the job's stages, here or on the cluster, and commit rows as they come.

    After an error it can be called again: it skips clips that the run has committed.
    """
    job = run.job
    done = set[str]()
    if run.tally.num_parts:
        done = recounted(run.tally, run.store, run.stamp.run_id, job.tables[0])
    todo = [clip for clip in plan.todo if clip.clip_id not in done]
    if not todo:
        return
    observer().begin("starting workers", None, "")
    work = job.work(run.store)
    with (
        rows_made(todo, work, pool, ray_address, isolated=run.after_kill) as made,
        Committer(run.store, run.stamp, run.tally, job.tables_of) as committer,
    ):
        observer().begin(job.doing, len(todo), "clips")
        seen, started = Tally(), time.perf_counter()
        for rows in made:
            committer.add(rows)
            seen.add(rows)
            speed = seen.audio_seconds / (time.perf_counter() - started)
            observer().advance(
                rows.num_rows, f"· {seen.rejected} rejected · {speed:.1f} audio-hours/h ·"
            )


def run_job(
    source: str,
    results: str,
    prepare: Callable[[], Job],
    *,
    limit: int | None,
    again: bool,
    pool: ScorerPool | None,
    ray_address: str | None,
    wait_minutes: float,
    on_end: OnEnd | None,
    interrupts: tuple[type[BaseException], ...],
    reuse_stage: Callable[[Run, ScoringPlan], None],
    work_stage: Callable[[Run, ScoringPlan, ScorerPool, str | None], None],
) -> dict[str, Any]:
    """Do a job for every clip of a corpus that the results store has no row of its kind for.

    Args:
        source: folder, file or manifest.
        results: folder or bucket of the results store; created if missing.
        prepare: returns the job; called after the corpus was listed.
        limit: number of clips to take at most, from the first.
        again: clips that have a row, too; the new rows replace the old ones.
        pool: number of processes of each stage and their GPUs; default: see `ScorerPool`.
        ray_address: Ray cluster to run on, ``HOST:PORT``; None starts Ray on this machine.
        wait_minutes: how long to wait while another run writes to the results store.
        on_end: called with the run's row and the store's location.
        interrupts: exceptions that stop the run; it is then recorded as interrupted.
        reuse_stage: `reuse_rows`, or a scheduler's wrapper of it.
        work_stage: `do_missing`, or a scheduler's wrapper of it.

    Returns:
        The run's row in the ``runs`` table.

    Raises:
        EmiError: see `flows.process.process_corpus`.
    """
    observer().begin("listing clips", None, "clips")
    started_at, started = datetime.now(UTC), time.perf_counter()
    passed = PassedOver()
    clips = list_clips(source, limit, passed)
    if passed:
        observer().note(f"passed over: {in_words(passed)}")
    job = prepare()
    store, run_id = create_store(results), job.stamp.run_id
    with store_lock(store, wait_minutes):
        store.recover()
        after_kill = mark_killed(store)
        record = RunRecord(
            job.stamp,
            source if is_remote(source) else str(local_path(source).absolute()),
            job.precision,
            started_at,
            num_listed=len(clips),
            passed_over=most_frequent(passed),
            made=job.tables[0],
        )
        run = Run(job, store, record, Tally(), after_kill)
        with store.alive(run_id), _recorded(run, on_end, interrupts):
            note_listing(store, source, clips, whole=limit is None)
            job.stamp.clock.begin_after(newest_row(store, job.tables))
            done = job.done_clips(store)
            plan = plan_clips(clips, done, rescore=again, by_name=job.by_name)
            planned = replace(
                record,
                num_skipped=plan.num_skipped,
                num_adopted=len(plan.reusable),
                list_seconds=time.perf_counter() - started,
            )
            run.write(planned)
            reuse_stage(run, plan)
            work_stage(run, plan, pool or ScorerPool(None, None), ray_address)
            for table in job.tables:
                compact(store, f"{run_id}-compact", superseded=plan.replaces_rows, leading=table)
            run.record.check_counts(run.tally)
            if limit is None and not is_one_file(source, clips):
                job.conclude(store)
            return _end(run, on_end, RunState.COMPLETED)


@contextmanager
def store_lock(store: ResultsStore, wait_minutes: float) -> Iterator[None]:
    """Lock a store for writing.

    Args:
        store: the store.
        wait_minutes: how long to wait while another run writes to it.

    Raises:
        StoreError: another run still writes to it, or it cannot be locked.
    """
    deadline = time.monotonic() + 60 * wait_minutes
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(store.lock())
                break
            except StoreError as error:
                if not isinstance(error.__cause__, LockHeld) or time.monotonic() > deadline:
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
