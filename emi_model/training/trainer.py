"""One training: its steps, its epochs, and its state between them."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emi_model.architecture.branch import collate
from emi_model.architecture.model import EmiModel
from emi_model.errors import TrainingError
from emi_model.metrics.agreement import TargetMetrics, mean_skill
from emi_model.targets import VAD_DIMENSIONS
from emi_model.training.batches import Preparation, num_steps, plan_epoch, seed_torch
from emi_model.training.clips import PreparedClip, TrainingClip
from emi_model.training.config import TrainConfig
from emi_model.training.group import SingleProcess
from emi_model.training.objective.batch_loss import BatchLoss
from emi_model.training.objective.losses import BINOMIAL
from emi_model.training.objective.raters import raters_of
from emi_model.training.optimiser import Optimiser
from emi_model.training.state import fingerprint_of, inputs_id_of, read_state, write_state

MAX_LOADERS = 8
"""Processes that prepare waveforms for a GPU."""


@dataclass(frozen=True)
class EpochReport:
    """The figures of one epoch.

    Attributes:
        epoch: counted from 1.
        num_epochs: epochs of the recipe.
        train_loss: mean over the epoch's steps.
        learning_rate: of the first step after the epoch.
        valid: metrics of each target on the validation clips; None without such clips.
        valid_pearson: mean Pearson over the targets, by which the best epoch is chosen: a target
            whose predictions are all alike counts 0, one whose labels are all alike does not count.
            None without clips, or if no target counts.
        seconds: that `fit` has taken, the time before an interruption included.
        fold: which part of the training clips is left out, as ``2 of 5``; empty: none.
    """

    epoch: int
    num_epochs: int
    train_loss: float
    learning_rate: float
    valid: dict[str, TargetMetrics] | None
    valid_pearson: float | None
    seconds: float
    fold: str = ""


class Trainer:
    """Runs the epochs of a training and keeps their reports.

    Attributes:
        model: the model, in training.
        config: the recipe.
        requested: the device that was asked for.
        epoch: number of finished epochs.
        history: their reports.
        best_epoch: the one with the highest ``valid_pearson``, if the recipe keeps it.
        best_weights: its weights.
    """

    def __init__(
        self,
        model: EmiModel,
        clips: Sequence[TrainingClip],
        valid_set: Sequence[TrainingClip],
        config: TrainConfig,
        device: str | None,
        group: SingleProcess,
    ) -> None:
        """Move the model to its device and give every process of the group the same weights."""
        self.requested = device
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self._device)
        for branch in model.each_branch().values():
            branch.freeze_first_layers(frozen=config.freeze_conv)
            branch.keep_outputs(kept=config.repeats_inputs)
        self._clips = clips
        self._valid_set = valid_set
        self.config = config
        self.group = group
        self._batch_loss = group.replicate(BatchLoss(self.model, config, group))
        self.optimiser = Optimiser(self.model, config, num_steps(len(clips), config))
        self.epoch = 0
        self.history: list[EpochReport] = []
        self.best_epoch: int | None = None
        self.best_weights: dict[str, Tensor] | None = None

    @property
    def smoothed(self) -> EmiModel:
        """The model to evaluate and return: with averaged weights where the recipe says so."""
        return self.optimiser.smoothed

    @property
    def seconds(self) -> float:
        """Seconds that the epochs took."""
        return self.history[-1].seconds if self.history else 0.0

    def run_epoch(self) -> float:
        """Take one step a batch; return the mean loss over the steps."""
        self.epoch += 1
        seed_torch(self.config, self.epoch, self.group.rank)
        self.model.train()
        prepared = Preparation(
            self._clips,
            self.config,
            self.epoch,
            window_samples=self.model.config.window_samples,
            specs=self.model.specs,
            required=self.model.config.required,
        )
        plan = plan_epoch([clip.num_samples for clip in self._clips], self.config, self.epoch)
        own = [batch[self.group.rank :: self.group.size] for batch in plan]
        losses = [self._step(batch) for batch in prepared.batches(own, num_workers=self._loaders())]
        return sum(losses) / len(losses)

    def record(self, report: EpochReport) -> None:
        """Keep the report of an epoch, and its weights if they are the best so far."""
        self.history.append(report)
        found = report.valid_pearson
        if self.config.keep != "best" or found is None:
            return
        best = self.history[self.best_epoch - 1].valid_pearson if self.best_epoch else None
        if best is None or found > best:
            self.best_epoch = report.epoch
            self.best_weights = copy.deepcopy(self.smoothed.state_dict())

    def write(self, path: Path) -> None:
        """Write all that is needed to continue after this epoch."""
        state = {
            "fingerprint": self._fingerprint,
            "inputs": self._inputs_id,
            "epoch": self.epoch,
            "history": [asdict(report) for report in self.history],
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state(),
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }
        write_state(path, state)

    def restore(self, path: Path) -> None:
        """Continue from the state that `write` wrote."""
        state = read_state(path, self._fingerprint, inputs=self._inputs_id)
        self.model.load_state_dict(state["model"])
        self.optimiser.restore(state["optimiser"])
        self.epoch = state["epoch"]
        self.history = [_recounted(report_from_dict(past)) for past in state["history"]]
        self.best_epoch, self.best_weights = state["best_epoch"], state["best_weights"]

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint_of(self.model.config, self.config, self._clips, self._valid_set)

    @cached_property
    def _inputs_id(self) -> str:
        return inputs_id_of(chain(self._clips, self._valid_set))

    def _loaders(self) -> int:
        """Return the number of processes that prepare waveforms: none where the CPU trains."""
        if self._device.type == "cpu":
            return 0
        return min(MAX_LOADERS, max(1, (os.cpu_count() or 1) // self.group.size - 1))

    def _step(self, clips: Sequence[PreparedClip]) -> float:
        batch = collate([clip.inputs for clip in clips], self.model.config.modalities)
        inputs = {modality: padded.to(self._device) for modality, padded in batch.items()}
        labels, rated, weights = (
            tensor.to(self._device, non_blocking=True)
            for tensor in (
                _labels_of(clips, self.model.config.num_targets),
                _vad_of(clips),
                self._weights_of(clips),
            )
        )
        loss, emi = self._batch_loss(inputs, labels, rated, weights, mixed=self.optimiser.mixed)
        value = float(loss.item())
        if not math.isfinite(value):
            raise TrainingError(self._not_finite(value, emi, clips))
        # torch takes the mean of the processes' parts of the gradient, their sum is the gradient
        self.optimiser.step(loss * self.group.size)
        return value

    def _weights_of(self, clips: Sequence[PreparedClip]) -> Tensor:
        """Return how much each clip counts, (B,); without elements: all the same."""
        counts = self.config.rater_weights or self.config.loss == BINOMIAL
        return raters_of(clips) if counts else torch.empty(0)

    def _not_finite(self, value: float, emi: Tensor, clips: Sequence[PreparedClip]) -> str:
        """Return a message that names the clips whose own outputs or labels are not finite."""
        labels = _labels_of(clips, emi.shape[1])
        # NaN in labels: missing
        odd = ~emi.cpu().isfinite().all(dim=1) | labels.isinf().any(dim=1)
        odd |= _vad_of(clips).isinf().any(dim=1)
        named = [clip.clip_id for clip, is_odd in zip(clips, odd.tolist(), strict=True) if is_odd]
        found = self.group.gather_objects(named)
        everyone = self.group.gather_objects([clip.clip_id for clip in clips])
        return (
            f"the loss is {value} in epoch {self.epoch}, on {', '.join(found or everyone)}: listen "
            "to these clips, check their labels, or lower the learning rate"
        )


def _labels_of(clips: Sequence[PreparedClip], num_targets: int) -> Tensor:
    """Return (B, targets); shapes are checked, since one label would broadcast to many targets."""
    for clip in clips:
        if clip.emi.shape != (num_targets,):
            raise TrainingError(
                f"{clip.clip_id} has labels of shape {clip.emi.shape}, expected {num_targets}"
            )
    return torch.from_numpy(np.stack([clip.emi for clip in clips]))


def _vad_of(clips: Sequence[PreparedClip]) -> Tensor:
    """Return (B, 3), NaN where nobody rated a clip."""
    unrated = np.full(len(VAD_DIMENSIONS), np.nan, np.float32)
    return torch.from_numpy(np.stack([unrated if c.vad is None else c.vad for c in clips]))


def _recounted(past: EpochReport) -> EpochReport:
    """Return a report whose mean is today's: earlier versions left constant predictions out."""
    return replace(past, valid_pearson=mean_skill(past.valid)) if past.valid else past


def report_from_dict(past: dict[str, Any]) -> EpochReport:
    """Return the report of which ``dataclasses.asdict`` made a dict."""
    valid = past["valid"]
    figures = None if valid is None else {name: TargetMetrics(**v) for name, v in valid.items()}
    return EpochReport(**{**past, "valid": figures})
