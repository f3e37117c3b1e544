"""How far the trainings of a grid are."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from emi_model.training.trainer import EpochReport
from tasks.comparison.cell import CellRun
from tasks.progress import observer


class CellProgress:
    """Reports to the observer how many epochs of all trainings are done."""

    def __init__(
        self,
        epochs: Mapping[CellRun, int],
        missing: Collection[CellRun],
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Begin the stage.

        Args:
            epochs: of every training.
            missing: the trainings that are not done yet.
            names: of cells, to be shown in place of their ids.
        """
        self._names = names or {}
        self._epochs = dict.fromkeys(missing, 0)
        observer().begin("training", sum(epochs.values()), "epochs")
        observer().advance(sum(epochs.values()) - sum(epochs[run] for run in missing))

    def report(self, run: CellRun, report: EpochReport) -> None:
        """Report an epoch."""
        pearson = "-" if report.valid_pearson is None else f"{report.valid_pearson:.3f}"
        figures = f"loss {report.train_loss:.4f} · mean Pearson {pearson}"
        name = self._names.get(run.cell, run.cell)
        message = f"· {name}, seed {run.seed}: {figures} ·"
        observer().advance(report.epoch - self._epochs[run], message)
        self._epochs[run] = report.epoch
