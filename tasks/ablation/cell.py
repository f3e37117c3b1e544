"""The training of one cell of an ablation with one seed, in a process of the cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import torch

from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.pretrained import load_backbone
from emi_model.errors import EmiError
from emi_model.metrics.agreement import TargetMetrics
from emi_model.training.clips import TrainingClip
from emi_model.training.first_weights import from_backbone, from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import Recipe
from emi_model.training.state import FolderJournal
from emi_model.training.trainer import EpochReport
from tasks.evaluation.encoded_clips import with_encoded

TrainingClips = Sequence[TrainingClip]


@dataclass(frozen=True)
class CellJob:
    """All that training one cell needs beside the clips.

    Attributes:
        recipe: the cell's, with its seed.
        targets: of the labels, in order.
        backbone: folder of the model whose backbone it starts from; None: from scratch.
        fresh_head: initialise a new VAD head if that model has none.
        journal: folder of this cell and seed alone, for the state after every epoch.
    """

    recipe: Recipe
    targets: tuple[str, ...]
    backbone: str | None
    fresh_head: bool
    journal: Path

    def first_model(self) -> EmiModel:
        """Return the model with its first weights."""
        if self.backbone is None:
            return from_scratch(self.recipe, self.targets)
        loaded = load_backbone(self.backbone)
        return from_backbone(self.recipe, self.targets, loaded, fresh_head=self.fresh_head)


@dataclass(frozen=True)
class CellOutcome:
    """The outcome of a cell's training.

    Attributes:
        figures: of each target on the validation clips.
        epoch: whose weights gave them.
        num_parameters: of the model.
        seconds: that the epochs of all attempts took.
    """

    figures: Mapping[str, TargetMetrics]
    epoch: int
    num_parameters: int
    seconds: float


def train_cell(
    job: CellJob,
    train: TrainingClips,
    valid: TrainingClips,
    on_epoch: Callable[[EpochReport], None],
) -> CellOutcome:
    """Train a cell, or continue its training where it was stopped.

    Args:
        job: the cell.
        train: clips to learn from.
        valid: clips to choose the epoch by and to measure on; at least one.
        on_epoch: called after every epoch.

    Raises:
        EmiError: it cannot be trained.
    """
    model = job.first_model()
    journal = FolderJournal(job.journal)
    train, valid = with_encoded(model, train), with_encoded(model, valid)
    result = fit(model, train, valid, job.recipe.train, on_epoch=on_epoch, journal=journal)
    figures = result.history[result.epoch - 1].valid
    assert figures is not None, "there are validation clips"
    num_parameters = sum(weight.numel() for weight in model.parameters())
    return CellOutcome(figures, result.epoch, num_parameters, result.seconds)


def train_cell_task(
    job: CellJob, name: tuple[str, int], clips: tuple[TrainingClips, TrainingClips], watcher: Any
) -> CellOutcome | str:
    """Train a cell in a Ray task; epochs are sent to a `tasks.cluster.mailbox.ReportMailbox`.

    Returns:
        The outcome, or one line that says why there is none.
    """
    torch.set_num_threads(1)

    def send(report: EpochReport) -> None:
        ray.get(watcher.report.remote({"run": name, "report": asdict(report)}))

    try:
        return train_cell(job, *clips, send)
    except (EmiError, MemoryError, torch.OutOfMemoryError) as error:
        return str(error).strip().partition("\n")[0] or "out of memory"
