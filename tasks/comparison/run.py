"""A comparison's trainings: what a store has of them, and those that are missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from emi_model.arrays import Doubles
from tasks.comparison.cell import CellJob, CellOutcome, CellRun
from tasks.comparison.encode import encode_missing
from tasks.comparison.plan import Comparison
from tasks.comparison.workers import Grid, OnEpoch, run_cells, slug_of
from tasks.provenance import source_commit
from tasks.schema.comparisons import COMPARED_CLIPS_SCHEMA
from tasks.schema.registers import register_table
from tasks.schema.tables import COMPARED_CLIPS
from tasks.store.store import ResultsStore

SHARED_COLUMNS = (
    *("epoch", "num_parameters", "train_seconds", "clips_per_second", "memory_mib"),
    *("num_filled", "finished_at"),
)
"""Columns of `COMPARED_CLIPS_SCHEMA` that all rows of a training share."""


@dataclass(frozen=True)
class TrainedSystem:
    """A training that is done.

    Attributes:
        predictions: (N, targets), of the measured clips in their order.
        facts: the columns `SHARED_COLUMNS`.
    """

    predictions: Doubles
    facts: Mapping[str, Any]


def missing_trainings(comparison: Comparison, store: ResultsStore) -> list[CellRun]:
    """Return, in their order, the trainings of a comparison that a store has nothing of."""
    return missing_of(comparison, store, COMPARED_CLIPS, COMPARED_CLIPS_SCHEMA)


def missing_of(grid: Grid, store: ResultsStore, register: str, schema: pa.Schema) -> list[CellRun]:
    """Return, in their order, the trainings of a grid that a register of a store does not have."""
    wanted = ds.field(grid.kind) == grid.grid_id
    rows = store.rows(register, schema, wanted, ["cell", "seed"]).to_pylist()
    done = {CellRun(row["cell"], row["seed"]) for row in rows}
    return [run for run in grid.runs if run not in done]


def recorded_trainings(comparison: Comparison, store: ResultsStore) -> dict[CellRun, TrainedSystem]:
    """Return the trainings of a comparison that a store has, in the comparison's order."""
    wanted = ds.field("comparison") == comparison.comparison_id
    table = store.rows(COMPARED_CLIPS, COMPARED_CLIPS_SCHEMA, wanted)
    clips = {clip.clip_id: place for place, clip in enumerate(comparison.clips.measured or ())}
    targets = {name: place for place, name in enumerate(comparison.gathered.labels.targets)}
    found: dict[CellRun, TrainedSystem] = {}
    for row in table.to_pylist():
        run = CellRun(row["cell"], row["seed"])
        if run not in found:
            empty = np.full((len(clips), len(targets)), np.nan)
            found[run] = TrainedSystem(empty, {name: row[name] for name in SHARED_COLUMNS})
        found[run].predictions[clips[row["clip_id"]], targets[row["target"]]] = row["predicted"]
    return {run: found[run] for run in comparison.runs if run in found}


def run_comparison(
    comparison: Comparison, store: ResultsStore, *, on_epoch: OnEpoch | None = None
) -> dict[CellRun, str]:
    """Train what a store lacks of a comparison, on the Ray cluster of this process.

    Args:
        comparison: what to train.
        store: where each training is recorded, as soon as it is done.
        on_epoch: called after every epoch of every training, in this process.

    Returns:
        The trainings that failed, each with one line that says why; they do not stop the others.

    Raises:
        TrainingError: another process is at this comparison.
        StoreError: a training cannot be recorded.
    """
    return run_grid(
        comparison,
        missing=lambda: missing_trainings(comparison, store),
        record=lambda run, outcome: record_training(store, comparison, run, outcome),
        on_epoch=on_epoch,
    )


def run_grid(
    grid: Grid,
    *,
    missing: Callable[[], Collection[CellRun]],
    record: Callable[[CellRun, CellOutcome], None],
    on_epoch: OnEpoch | None,
) -> dict[CellRun, str]:
    """Train what is missing of a grid; arguments and errors are those of `run_cells`.

    What frozen encoders make of the clips is computed first, once for all trainings.
    """

    def prepare(jobs: Iterable[CellJob]) -> None:
        encode_missing(jobs, grid.clips)

    return run_cells(grid, missing=missing, record=record, prepare=prepare, on_epoch=on_epoch)


def record_training(
    store: ResultsStore, comparison: Comparison, run: CellRun, outcome: CellOutcome
) -> None:
    """Add what one training predicts to a store.

    Raises:
        StoreError: the store has it already, or cannot be written.
    """
    name = f"{comparison.comparison_id[:16]}-{slug_of(run)}"
    rows = _rows(comparison, run, outcome)
    store.record(COMPARED_CLIPS, name, register_table(COMPARED_CLIPS, rows))


def _rows(comparison: Comparison, run: CellRun, outcome: CellOutcome) -> Iterable[dict[str, Any]]:
    measured = outcome.measured
    assert measured is not None, "a comparison measures clips of their own"
    base, branches, fusion, loss = comparison.by_cell[run.cell].variant.labels
    shared = {
        "comparison": comparison.comparison_id,
        "cell": run.cell,
        "recipe": base,
        "branches": branches,
        "fusion": fusion,
        "loss": loss,
        "seed": run.seed,
        "epoch": outcome.epoch,
        "num_parameters": outcome.num_parameters,
        "train_seconds": outcome.seconds,
        "clips_per_second": measured.clips_per_second,
        "memory_mib": outcome.memory_bytes / 2**20,
        "num_filled": measured.num_filled,
        "finished_at": datetime.now(UTC),
        "commit": source_commit(),
    }
    for clip, values in zip(comparison.clips.measured or (), measured.predictions, strict=True):
        for target, value in zip(comparison.gathered.labels.targets, values, strict=True):
            yield {**shared, "clip_id": clip.clip_id, "target": target, "predicted": float(value)}
