"""The training of one cell with one seed, in a process of the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ray
import torch

from emi_model.architecture.audio_branch import AudioBranch
from emi_model.architecture.model import EmiModel
from emi_model.arrays import Floats
from emi_model.checkpoints.pretrained import load_backbone
from emi_model.errors import EmiError, LabelError
from emi_model.metrics.agreement import TargetMetrics
from emi_model.modalities import AUDIO
from emi_model.training.clips import TrainingClip
from emi_model.training.first_weights import from_backbone, from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import Recipe
from emi_model.training.state import FolderJournal
from emi_model.training.trainer import EpochReport
from emi_model.training.validate import predict_clips
from tasks.comparison.memory import forget_peak, peak_bytes
from tasks.evaluation.encoded_clips import with_encoded
from tasks.home import home
from tasks.labels.labelled_clips import CACHE_FOLDER, CachedClip
from tasks.training.job import lasting_failures

TrainingClips = Sequence[TrainingClip]


class CellRun(NamedTuple):
    """One training: a cell with a seed."""

    cell: str
    seed: int


@dataclass(frozen=True)
class CellJob:
    """All that training one cell needs beside the clips.

    Attributes:
        recipe: the cell's, with its seed.
        targets: of the labels, in order.
        backbone: folder of the model whose backbone it starts from; None: from scratch.
        fresh_head: initialise a new VAD head if that model has none.
        journal: folder of this cell and seed alone, for the state after every epoch.
        needs: modalities to read, of clips that have more; None: all that they have.
    """

    recipe: Recipe
    targets: tuple[str, ...]
    backbone: str | None
    fresh_head: bool
    journal: Path
    needs: Mapping[str, bool] | None = None

    def first_model(self) -> EmiModel:
        """Return the model with its first weights."""
        if self.backbone is None:
            return from_scratch(self.recipe, self.targets)
        loaded = load_backbone(self.backbone)
        return from_backbone(self.recipe, self.targets, loaded, fresh_head=self.fresh_head)


class CellClips(NamedTuple):
    """The clips of all cells.

    Attributes:
        train: to learn from.
        choose: to watch, and to choose the epoch by; may be empty for recipes that choose none.
        measured: predicted by the trained model; None: the figures are those on ``choose``.
    """

    train: TrainingClips
    choose: TrainingClips
    measured: TrainingClips | None = None

    def of(self, recipe: Recipe) -> tuple[TrainingClips, TrainingClips]:
        """Return the clips that teach a recipe's model, and those that choose its epoch.

        Where other clips are measured, a recipe that chooses no epoch learns from all.
        """
        if self.measured is None or recipe.train.keep == "best":
            return self.train, self.choose
        return [*self.train, *self.choose], []


@dataclass(frozen=True)
class Measured:
    """What a trained cell gives for the measured clips.

    Attributes:
        predictions: (N, targets) in [0, 1].
        num_filled: of these clips lack every modality of the cell; they got the mean of the
            training labels.
        clips_per_second: scored, in float32, from cached inputs and frozen encoders' outputs; None
            where no clip was scored.
    """

    predictions: Floats
    num_filled: int
    clips_per_second: float | None


@dataclass(frozen=True)
class CellOutcome:
    """The outcome of a cell's training.

    Attributes:
        figures: of each target on the clips that choose the epoch; empty if there are none.
        epoch: whose weights gave them.
        num_parameters: of the model.
        seconds: that the epochs of all attempts took.
        memory_bytes: the most that this attempt used.
        measured: on the measured clips; None if there are none.
    """

    figures: Mapping[str, TargetMetrics]
    epoch: int
    num_parameters: int
    seconds: float
    memory_bytes: int = 0
    measured: Measured | None = None


def train_cell(
    job: CellJob,
    train: TrainingClips,
    valid: TrainingClips,
    on_epoch: Callable[[EpochReport], None],
    measured: TrainingClips | None = None,
) -> CellOutcome:
    """Train a cell, or continue its training where it was stopped.

    Args:
        job: the cell.
        train: clips to learn from.
        valid: clips to choose the epoch by.
        on_epoch: called after every epoch.
        measured: clips to predict in the end.

    Raises:
        EmiError: it cannot be trained.
    """
    forget_peak()
    model = with_shared_frames(job.first_model())
    train, valid = reading(train, job.needs), reading(valid, job.needs)
    learnt = [clip for clip in train if not lacks_all(clip)]
    watched = [clip for clip in valid if not lacks_all(clip)]
    if not learnt:
        raise LabelError("no training clip has any of the cell's modalities: take other branches")
    result = fit(
        model,
        with_encoded(model, learnt),
        with_encoded(model, watched),
        job.recipe.train,
        on_epoch=on_epoch,
        journal=FolderJournal(job.journal),
    )
    found = None if measured is None else _measured(model, reading(measured, job.needs), learnt)
    return CellOutcome(
        figures=result.history[result.epoch - 1].valid or {},
        epoch=result.epoch,
        num_parameters=sum(weight.numel() for weight in model.parameters()),
        seconds=result.seconds,
        memory_bytes=peak_bytes(),
        measured=found,
    )


def train_cell_task(
    job: CellJob, name: CellRun, clips: CellClips, watcher: Any
) -> CellOutcome | str:
    """Train a cell in a Ray task; epochs are sent to a `tasks.cluster.mailbox.ReportMailbox`.

    Returns:
        The outcome, or one line that says why there is none.
    """
    torch.set_num_threads(1)
    sent: list[Any] = []

    def send(report: EpochReport) -> None:
        # not awaited: while a task waits, Ray starts another one on its core
        sent[:] = [watcher.report.remote({"run": tuple(name), "report": asdict(report)})]

    try:
        with lasting_failures(job.recipe.train, job.journal):
            train, choose = clips.of(job.recipe)
            outcome = train_cell(job, train, choose, send, clips.measured)
            ray.get(sent)  # of the last report: they arrive in their order
            return outcome
    except EmiError as error:
        return str(error).strip().partition("\n")[0]


def with_shared_frames(model: EmiModel) -> EmiModel:
    """Let a model's frozen audio backbone share what it gives with all trainings of this home."""
    branch = model.each_branch().get(AUDIO)
    if isinstance(branch, AudioBranch):
        branch.share_outputs(home() / CACHE_FOLDER)
    return model


def reading(clips: TrainingClips, needs: Mapping[str, bool] | None) -> TrainingClips:
    """Return clips of which only these modalities are read."""
    if needs is None:
        return clips
    return [replace(clip, needs=needs) if isinstance(clip, CachedClip) else clip for clip in clips]


def lacks_all(clip: TrainingClip) -> bool:
    """Return whether a clip has none of the modalities that are read of it."""
    return isinstance(clip, CachedClip) and len(clip.absent) == len(clip.needs)


def _measured(model: EmiModel, clips: TrainingClips, learnt: TrainingClips) -> Measured:
    """Return what a model gives for clips; those without input get the mean training label."""
    able = [place for place, clip in enumerate(clips) if not lacks_all(clip)]
    labels = np.stack([clip.emi for clip in learnt])
    rated = ~np.isnan(labels)
    means = np.where(rated, labels, 0).sum(axis=0) / np.maximum(rated.sum(axis=0), 1)
    predictions = np.tile(means.astype(np.float32), (len(clips), 1))
    scored = with_encoded(model, [clips[place] for place in able])
    for branch in model.each_branch().values():
        branch.keep_outputs(kept=True)
    began = time.perf_counter()
    predictions[able] = predict_clips(model, scored)
    seconds = time.perf_counter() - began
    speed = len(able) / seconds if able else None
    return Measured(predictions, len(clips) - len(able), speed)
