"""What the flows that train a grid share: its clips, the trainings on Ray, how far they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from emi_model.devices import available_cores
from emi_model.training.recipes import Recipe
from emi_model.training.trainer import EpochReport
from tasks.cluster.connection import ray_cluster
from tasks.comparison.cell import CellRun
from tasks.comparison.workers import Grid, OnEpoch
from tasks.extraction.series.given import Given
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import LabelledAudio
from tasks.labels.splits import TRAIN
from tasks.progress import observer
from tasks.storage.open import child
from tasks.store.store import ResultsStore
from tasks.training.gathering import load_for_recipe
from tasks.training.plan import Start

AnyReport = TypeVar("AnyReport")

REPORTS_FOLDER = "reports"
"""Of a results store; no view reads it."""


class CellProgress:
    """Reports to the observer how many epochs of all trainings are done."""

    def __init__(self, grid: Grid, missing: Collection[CellRun]) -> None:
        """Begin the stage.

        Args:
            grid: all trainings.
            missing: those that are not done yet.
        """
        self._name_of = grid.name_of
        self._epochs = dict.fromkeys(missing, 0)
        epochs = {run: grid.job(run).recipe.train.epochs for run in grid.runs}
        observer().begin("training", sum(epochs.values()), "epochs")
        observer().advance(sum(epochs.values()) - sum(epochs[run] for run in missing))

    def report(self, run: CellRun, report: EpochReport) -> None:
        """Report an epoch."""
        pearson = "-" if report.valid_pearson is None else f"{report.valid_pearson:.3f}"
        figures = f"loss {report.train_loss:.4f} · mean Pearson {pearson}"
        message = f"· {self._name_of(run.cell)}, seed {run.seed}: {figures} ·"
        observer().advance(report.epoch - self._epochs[run], message)
        self._epochs[run] = report.epoch


@task(name="gather", cache_policy=NO_CACHE, persist_result=False)
def gather_clips(
    recipe: Recipe,
    labels: str,
    corpus: str,
    snapshot: str | None,
    split: str,
    asr: str | None,
    language: str | None,
    start: Start | None,
    features: Mapping[str, Given],
) -> LabelledAudio:
    """Return the clips to train and to measure on, a recipe's inputs in the cache."""
    label_set, splits = load_labels(labels, snapshot), (TRAIN, split)
    return load_for_recipe(
        recipe, label_set, corpus, splits, asr, language, start, features=features
    )


def carry_out(
    grid: Grid,
    store: ResultsStore,
    *,
    missing: Callable[[], Collection[CellRun]],
    train: Callable[[OnEpoch], dict[CellRun, str]],
    report: Callable[[Mapping[CellRun, str]], AnyReport],
    write: Callable[[AnyReport, str], None],
    out: str | None,
    ray_address: str | None,
) -> dict[str, Any]:
    """Train what a store lacks of a grid, and write the report.

    Args:
        grid: all trainings.
        store: that keeps the figures.
        missing: returns the trainings that the store has nothing of.
        train: trains them on the Ray cluster of this process; returns why some failed.
        report: returns the report on the store's figures and on what failed.
        write: writes it to a folder.
        out: folder of the report; default: below ``reports`` in the store.
        ray_address: Ray cluster to train on; default: ``RAY_ADDRESS``, else this machine.

    Returns:
        ``report``; ``failed``, the trainings that failed and why, by name and seed; ``folder`` of
        the report's files; ``num_trained`` and ``num_known``, trainings done now and before.

    Raises:
        EmiError: as ``train`` and ``write``.
    """
    num_missing = len(missing())
    failed = train_cells(grid, missing, train, ray_address) if num_missing else {}
    made = report(failed)
    folder = out or child(store.location, f"{REPORTS_FOLDER}/{grid.kind}-{grid.grid_id[:12]}")
    write(made, folder)
    return {
        "report": made,
        "failed": {(grid.name_of(run.cell), run.seed): reason for run, reason in failed.items()},
        "folder": folder,
        "num_trained": num_missing - len(failed),
        "num_known": len(grid.runs) - num_missing,
    }


@task(name="train-cells", cache_policy=NO_CACHE, persist_result=False)
def train_cells(
    grid: Grid,
    missing: Callable[[], Collection[CellRun]],
    train: Callable[[OnEpoch], dict[CellRun, str]],
    ray_address: str | None,
) -> dict[CellRun, str]:
    """Train what is missing, as many cells at a time as there are cores or GPUs for."""
    observer().begin("starting workers", None, "")
    with ray_cluster(available_cores(), ray_address):
        return train(CellProgress(grid, missing()).report)
