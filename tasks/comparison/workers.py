"""Many trainings on Ray: as many at a time as there are cores or GPUs, each recorded when done.

Ray keeps its worker processes between tasks, so libraries are loaded once a core and not once a
training.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import ray
from ray.exceptions import RayError, RayTaskError

from emi_model.checkpoints.encoders import references_of
from emi_model.training.trainer import EpochReport, report_from_dict
from tasks.cluster.mailbox import ReportMailbox
from tasks.cluster.nodes import actor_on_this_node, wait_for
from tasks.comparison.cell import CellClips, CellJob, CellOutcome, CellRun, train_cell_task
from tasks.training.on_ray import POLL_SECONDS, check_shared
from tasks.training.run import alone_at

MAX_CELL_DEATHS = 2
"""Times that a cell's process may die before the cell is given up for this time."""

OnEpoch = Callable[[CellRun, EpochReport], None]


class Grid(Protocol):
    """Trainings on the same clips."""

    @property
    def kind(self) -> str:
        """What it is; the column of its id in its register."""

    @property
    def grid_id(self) -> str:
        """Hash (hex) of what decides all figures; more trainings leave it as it is."""

    @property
    def runs(self) -> tuple[CellRun, ...]:
        """All trainings, in their order."""

    @property
    def folder(self) -> Path:
        """Where trainings that are not done keep their state; one process at a time uses it."""

    @property
    def clips(self) -> CellClips:
        """The clips of all trainings."""

    def name_of(self, cell: str) -> str:
        """Return a cell's name for people."""

    def job(self, run: CellRun) -> CellJob:
        """Return what one training needs; its journal is as `journal_of` names it."""


def run_cells(
    grid: Grid,
    *,
    missing: Callable[[], Collection[CellRun]],
    record: Callable[[CellRun, CellOutcome], None],
    prepare: Callable[[Iterable[CellJob]], None] | None = None,
    on_epoch: OnEpoch | None = None,
) -> dict[CellRun, str]:
    """Train what is missing, on the Ray cluster of this process.

    A training takes a core, and a GPU if there are any. One that is killed continues from its last
    epoch, now or when it is asked for again.

    Args:
        grid: all trainings.
        missing: returns the trainings to do, in their order; called once nobody else is at it.
        record: keeps the outcome of a training, as soon as it is done.
        prepare: called with the trainings to do, before they begin.
        on_epoch: called after every epoch of every cell, in this process.

    Returns:
        The trainings that failed, each with one line that says why; they do not stop the others.

    Raises:
        TrainingError: another process uses the grid's folder, or a node does not see it or a model.
        StoreError: an outcome cannot be recorded.
    """
    jobs = {run: grid.job(run) for run in grid.runs}
    with alone_at(grid.folder):
        check_shared(grid.folder, *_models_of(jobs.values()))
        watcher = actor_on_this_node(ReportMailbox)
        pending: dict[Any, CellRun] = {}
        failed: dict[CellRun, str] = {}
        try:
            wanted = list(missing())
            # left where this process was killed between recording an outcome and this
            for run in jobs.keys() - set(wanted):
                shutil.rmtree(jobs[run].journal, ignore_errors=True)
            if prepare is not None:
                prepare([jobs[run] for run in wanted])
            pending = _submitted(jobs, wanted, grid.clips, watcher)
            while pending:
                ready = _ready(pending)
                _pass_on(watcher, on_epoch)
                for reference in ready:
                    run = pending.pop(reference)
                    outcome = _outcome(reference)
                    if isinstance(outcome, str):
                        failed[run] = outcome
                        continue
                    record(run, outcome)
                    shutil.rmtree(jobs[run].journal, ignore_errors=True)
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)
            ray.kill(watcher)
    return {run: failed[run] for run in jobs if run in failed}


def journal_of(folder: Path, run: CellRun) -> Path:
    """Return the folder of the state of one training."""
    return folder / slug_of(run)


def slug_of(run: CellRun) -> str:
    """Return a training's name for files; replacing characters makes no two cells' names equal."""
    return f"{re.sub(r'[^A-Za-z0-9._@]+', '-', run.cell)}-{run.seed}"


def on_cores(function: Callable[..., Any], **options: Any) -> Any:
    """Return a function as a Ray task that takes a core, and a GPU if there are any."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = 1 if resources.get("GPU") else 0
    remote: Any = ray.remote(num_cpus=1, num_gpus=gpus, **options)
    return remote(function)


def _submitted(
    jobs: Mapping[CellRun, CellJob], runs: Iterable[CellRun], clips: CellClips, watcher: Any
) -> dict[Any, CellRun]:
    """Submit all trainings to the cluster, which runs as many at a time as it has cores or GPUs."""
    train = on_cores(train_cell_task, max_retries=MAX_CELL_DEATHS)
    shared = ray.put(clips)
    return {train.remote(jobs[run], run, shared, watcher): run for run in runs}


def _models_of(jobs: Iterable[CellJob]) -> set[str]:
    """Return the folders of models and encoders that trainings read."""
    found = {job.backbone for job in jobs if job.backbone}
    encoders = {path for job in jobs for path in references_of(job.recipe.model).values()}
    return found | {path for path in encoders if Path(path).exists()}


def _ready(pending: Collection[Any]) -> list[Any]:
    """Return the tasks that are done, or wait for a moment in Python, where signals interrupt."""
    ready, _ = ray.wait(list(pending), num_returns=len(pending), timeout=0)
    if not ready:
        time.sleep(POLL_SECONDS)
    return ready


def _pass_on(watcher: Any, on_epoch: OnEpoch | None) -> None:
    reports, _ = wait_for(watcher.take.remote())
    if on_epoch is not None:
        for report in reports:
            on_epoch(CellRun(*report["run"]), report_from_dict(report["report"]))


def _outcome(reference: Any) -> CellOutcome | str:
    try:
        outcome: CellOutcome | str = wait_for(reference)
    except RayTaskError:  # a bug: `train_cell_task` returns the errors that a cell may have
        raise
    except RayError as error:
        message = str(error).strip().partition("\n")[0]
        return f"its process died {MAX_CELL_DEATHS + 1} times: {message}"
    return outcome
