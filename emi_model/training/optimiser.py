"""From a loss to new weights: AdamW, its rate over the steps, gradient bounds, weight average."""

from __future__ import annotations

import copy
import math
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from emi_model.architecture.model import EmiModel
from emi_model.training.config import TrainConfig


class Optimiser:
    """The optimiser, its schedule, the loss scaling and the averaged weights of one training.

    Attributes:
        smoothed: the model with averaged weights where the recipe asks for them, else the model.
    """

    def __init__(self, model: EmiModel, config: TrainConfig, steps_per_epoch: int) -> None:
        """Take a model that is on its device already."""
        device = next(model.parameters()).device
        self.mixed = config.mixed_precision and device.type == "cuda"
        self._model = model
        self._config = config
        self._adam = torch.optim.AdamW(
            [weight for weight in model.parameters() if weight.requires_grad],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._adam, lambda step: rate_factor(step, steps_per_epoch, config)
        )
        self._scaler = torch.amp.GradScaler(device.type, enabled=self.mixed)
        self.smoothed = model if config.ema_decay is None else copy.deepcopy(model)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._adam.param_groups[0]["lr"])

    def step(self, loss: Tensor) -> None:
        """Move the weights against the gradient of ``loss``, a scalar."""
        self._adam.zero_grad()
        torch.autograd.backward(self._scaler.scale(loss))
        self._scaler.unscale_(self._adam)
        self._bound_gradients()
        self._scaler.step(self._adam)
        self._scaler.update()
        self._schedule.step()
        if self._config.ema_decay is not None:
            self._average(self._config.ema_decay)

    def state(self) -> dict[str, Any]:
        """Return what is needed to continue, apart from the model's weights."""
        return {
            "adam": self._adam.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
            "smoothed": None if self._config.ema_decay is None else self.smoothed.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned; the caller restores the model's own weights."""
        self._adam.load_state_dict(state["adam"])
        self._schedule.load_state_dict(state["schedule"])
        if state["scaler"]:  # empty if it was written on a CPU
            self._scaler.load_state_dict(state["scaler"])
        if state["smoothed"] is not None:
            self.smoothed.load_state_dict(state["smoothed"])

    def _bound_gradients(self) -> None:
        if self._config.clip_value is not None:
            torch.nn.utils.clip_grad_value_(self._model.parameters(), self._config.clip_value)
        if self._config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._config.clip_norm)

    @torch.no_grad()
    def _average(self, decay: float) -> None:
        """Move each averaged weight by a share of ``1 - decay`` towards the new one."""
        old = chain(self.smoothed.parameters(), self.smoothed.buffers())
        new = chain(self._model.parameters(), self._model.buffers())
        for average, weight in zip(old, new, strict=True):
            if average.is_floating_point():
                average.lerp_(weight, 1.0 - decay)
            else:  # tables of positions, counts of batches
                average.copy_(weight)


def rate_factor(step: int, steps_per_epoch: int, config: TrainConfig) -> float:
    """Return what the learning rate is multiplied by at ``step``, counted from 0, in [0, 1].

    Linear from 0 to 1 over the warm-up, then half a cosine from 1 to 0 at the end of training.
    However few the steps, the last one is no warm-up.
    """
    steps = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps - 1)
    if step < warmup:
        return step / warmup
    progress = (step - warmup) / (steps - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * progress))
