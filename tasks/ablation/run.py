"""Ablations on Ray: a process trains each cell, whose figures are recorded once it is done."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import ray
from ray.exceptions import RayError, RayTaskError

from emi_model.metrics.agreement import TargetMetrics, mean_defined
from emi_model.metrics.resamples import METRIC_NAMES
from emi_model.training.trainer import EpochReport, report_from_dict
from tasks.ablation.cell import CellJob, CellOutcome, train_cell_task
from tasks.ablation.grid import SWITCHES, Ablation, CellRun
from tasks.cluster.mailbox import ReportMailbox
from tasks.cluster.nodes import actor_on_this_node, wait_for
from tasks.home import home
from tasks.labels.splits import TRAIN, VALID
from tasks.provenance import source_commit
from tasks.schema.registers import ABLATIONS_SCHEMA, MEAN, register_table
from tasks.schema.tables import ABLATIONS
from tasks.store.store import ResultsStore
from tasks.training.run import POLL_SECONDS, alone_at, check_shared

MAX_CELL_DEATHS = 2
"""Times that a cell's process may die before the cell is given up for this time."""

OnEpoch = Callable[[CellRun, EpochReport], None]


def recorded_rows(store: ResultsStore, ablation_id: str) -> list[dict[str, Any]]:
    """Return an ablation's rows in a store: for each cell and seed one a target, and their mean."""
    wanted = ds.field("ablation") == ablation_id
    rows: list[dict[str, Any]] = store.rows(ABLATIONS, ABLATIONS_SCHEMA, wanted).to_pylist()
    return rows


def runs_of(rows: Iterable[Mapping[str, Any]]) -> set[CellRun]:
    """Return the trainings that rows of the register come from."""
    return {CellRun(row["cell"], row["seed"]) for row in rows}


def missing_runs(ablation: Ablation, store: ResultsStore) -> list[CellRun]:
    """Return, in their order, the trainings of an ablation that a store has no figures of."""
    done = runs_of(recorded_rows(store, ablation.ablation_id))
    return [run for run in ablation.runs if run not in done]


def run_ablation(
    ablation: Ablation, store: ResultsStore, *, on_epoch: OnEpoch | None = None
) -> dict[CellRun, str]:
    """Train what a store lacks of an ablation, on the Ray cluster of this process.

    A training takes a core, and a GPU if there are any; as many run at a time as the cluster has.
    One that is killed continues from its last epoch, now or when the ablation is run again.

    Args:
        ablation: what to train.
        store: where figures are recorded, each cell's as soon as it is done.
        on_epoch: called after every epoch of every cell, in this process.

    Returns:
        The trainings that failed, each with one line that says why; they do not stop the others.

    Raises:
        TrainingError: another process runs this ablation.
        StoreError: figures cannot be recorded.
    """
    folder = home() / "training" / "ablations" / ablation.ablation_id
    with alone_at(folder):
        check_shared(folder, *{cell.origin.folder for cell in ablation.cells})
        watcher = actor_on_this_node(ReportMailbox)
        pending: dict[Any, CellRun] = {}
        failed: dict[CellRun, str] = {}
        try:
            missing = missing_runs(ablation, store)
            # left where this process was killed between recording figures and removing the state
            for run in set(ablation.runs) - set(missing):
                shutil.rmtree(_journal(folder, run), ignore_errors=True)
            pending = _submitted(ablation, missing, folder, watcher)
            while pending:
                ready = _ready(pending)
                _pass_on(watcher, on_epoch)
                for reference in ready:
                    run = pending.pop(reference)
                    outcome = _outcome(reference)
                    if isinstance(outcome, str):
                        failed[run] = outcome
                        continue
                    record(store, ablation, run, outcome)
                    shutil.rmtree(_journal(folder, run), ignore_errors=True)
        finally:
            for reference in pending:
                ray.cancel(reference, force=True)
            ray.kill(watcher)
    return {run: failed[run] for run in ablation.runs if run in failed}


def record(store: ResultsStore, ablation: Ablation, run: CellRun, outcome: CellOutcome) -> None:
    """Add the outcome of one training to a store's register.

    Raises:
        StoreError: the register has it already, or cannot be written.
    """
    cell, labels = ablation.cell(run.cell), ablation.gathered.labels
    switches = {name: getattr(cell.recipe.model, name) for name in SWITCHES}
    shared = {
        "ablation": ablation.ablation_id,
        "cell": run.cell,
        "recipe": ablation.recipe.name,
        "backbone": cell.origin.name,
        "backbone_licence": cell.origin.licence,
        **switches,
        "seed": run.seed,
        "epoch": outcome.epoch,
        "num_parameters": outcome.num_parameters,
        "seconds": outcome.seconds,
        "snapshot": labels.snapshot,
        "split": VALID,
        "split_sha256": labels.split_sha256,
        "finished_at": datetime.now(UTC),
        "commit": source_commit(),
    }
    figures = {target: _plain(found) for target, found in outcome.figures.items()}
    figures[MEAN] = {
        name: mean_defined(found[name] for found in figures.values()) for name in METRIC_NAMES
    }
    rows = [{**shared, "target": target, **found} for target, found in figures.items()]
    name = f"{ablation.ablation_id[:16]}-{_slug(run)}"
    store.record(ABLATIONS, name, register_table(ABLATIONS, rows))


def _submitted(
    ablation: Ablation, runs: Iterable[CellRun], folder: Path, watcher: Any
) -> dict[Any, CellRun]:
    """Submit all trainings to the cluster, which runs as many at a time as it has cores or GPUs."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = 1 if resources.get("GPU") else 0
    remote: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=MAX_CELL_DEATHS)(
        train_cell_task
    )
    gathered = ablation.gathered
    clips = ray.put((gathered.of_split(TRAIN), gathered.of_split(VALID)))
    return {
        remote.remote(_job(ablation, run, folder), tuple(run), clips, watcher): run for run in runs
    }


def _job(ablation: Ablation, run: CellRun, folder: Path) -> CellJob:
    cell = ablation.cell(run.cell)
    return CellJob(
        recipe=cell.seeded(run.seed),
        targets=ablation.gathered.labels.targets,
        backbone=cell.origin.folder,
        fresh_head=cell.fresh_head,
        journal=_journal(folder, run),
    )


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


def _plain(found: TargetMetrics) -> dict[str, float | None]:
    every = asdict(found)
    return {name: every[name] for name in METRIC_NAMES}


def _journal(folder: Path, run: CellRun) -> Path:
    return folder / _slug(run)


def _slug(run: CellRun) -> str:
    """Return a training's name for files; replacing characters makes no two cells' names equal."""
    return f"{re.sub(r'[^A-Za-z0-9._@]+', '-', run.cell)}-{run.seed}"
