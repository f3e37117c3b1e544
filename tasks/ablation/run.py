"""Ablations on Ray: a process trains each cell, whose figures are recorded once it is done."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow.dataset as ds

from emi_model.metrics.agreement import TargetMetrics, mean_defined
from emi_model.metrics.resamples import METRIC_NAMES
from tasks.ablation.grid import SWITCHES, Ablation
from tasks.comparison.cell import CellOutcome, CellRun
from tasks.comparison.run import missing_of, run_grid
from tasks.comparison.workers import OnEpoch, slug_of
from tasks.labels.splits import VALID
from tasks.provenance import source_commit
from tasks.schema.registers import ABLATIONS_SCHEMA, MEAN, register_table
from tasks.schema.tables import ABLATIONS
from tasks.store.store import ResultsStore


def recorded_rows(store: ResultsStore, ablation_id: str) -> list[dict[str, Any]]:
    """Return an ablation's rows in a store: for each cell and seed one a target, and their mean."""
    wanted = ds.field("ablation") == ablation_id
    rows: list[dict[str, Any]] = store.rows(ABLATIONS, ABLATIONS_SCHEMA, wanted).to_pylist()
    return rows


def missing_runs(ablation: Ablation, store: ResultsStore) -> list[CellRun]:
    """Return, in their order, the trainings of an ablation that a store has no figures of."""
    return missing_of(ablation, store, ABLATIONS, ABLATIONS_SCHEMA)


def run_ablation(
    ablation: Ablation, store: ResultsStore, *, on_epoch: OnEpoch | None = None
) -> dict[CellRun, str]:
    """Train what a store lacks of an ablation, on the Ray cluster of this process.

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
    return run_grid(
        ablation,
        missing=lambda: missing_runs(ablation, store),
        record=lambda run, outcome: record(store, ablation, run, outcome),
        on_epoch=on_epoch,
    )


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
    name = f"{ablation.ablation_id[:16]}-{slug_of(run)}"
    store.record(ABLATIONS, name, register_table(ABLATIONS, rows))


def _plain(found: TargetMetrics) -> dict[str, float | None]:
    every = asdict(found)
    return {name: every[name] for name in METRIC_NAMES}
