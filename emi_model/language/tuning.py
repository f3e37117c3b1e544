"""Trains an explainer in stages: first coarse answers, then fine ones, as Emotion-LLaMA does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from emi_model.errors import ConfigError, TrainingError
from emi_model.language.explainer import Explainer
from emi_model.language.instructions import Instruction

_WEIGHT_DECAY = 0.05
MAX_GRADIENT = 1.0


@dataclass(frozen=True)
class TuningStage:
    """One stage of the training.

    Attributes:
        num_steps: batches.
        first_rate: learning rate after the warm-up; it falls to `last_rate` as a cosine.
        last_rate: at the end.
        warmup_steps: over which the rate rises from nearly 0.
        batch_size: instructions a step.
    """

    num_steps: int
    first_rate: float
    last_rate: float
    warmup_steps: int = 0
    batch_size: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.num_steps, self.batch_size) < 1 or not 0 < self.last_rate <= self.first_rate:
            raise ConfigError(f"found {self}, expected a step, a batch, and rates that fall")

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.first_rate * (step + 1) / self.warmup_steps
        share = (step - self.warmup_steps) / max(self.num_steps - self.warmup_steps, 1)
        cosine = (1 + math.cos(math.pi * share)) / 2
        return self.last_rate + (self.first_rate - self.last_rate) * cosine


PUBLISHED = (
    TuningStage(num_steps=30_000, first_rate=1e-5, last_rate=1e-6, warmup_steps=1_000),
    TuningStage(num_steps=30_000, first_rate=1e-6, last_rate=1e-6),
)
"""Emotion-LLaMA's: coarse, then fine; the steps of the second stage are not known, its rate is."""


def tune(
    explainer: Explainer, stage: TuningStage, instructions: Sequence[Instruction], *, seed: int
) -> list[float]:
    """Train the linear layers, and what of the language model is not frozen; return the losses.

    Args:
        explainer: in which `with_lora` has frozen the language model's own weights.
        stage: of the training.
        instructions: pairs, drawn in a new order whenever all have been used.
        seed: of order and dropout.

    Raises:
        ConfigError: there is no pair.
        TrainingError: the loss is not finite.
    """
    if not instructions:
        raise ConfigError("found no instruction pairs, expected at least one")
    trained = [weight for weight in explainer.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=stage.first_rate, weight_decay=_WEIGHT_DECAY)
    batches, losses = _batches(len(instructions), stage.batch_size, seed), []
    explainer.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for step in range(stage.num_steps):
            for group in optimiser.param_groups:
                group["lr"] = stage.rate(step)
            loss = explainer([instructions[place] for place in next(batches)])
            if not torch.isfinite(loss):
                raise TrainingError(f"found a loss of {loss.item()} in step {step + 1}: lower rate")
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, MAX_GRADIENT)
            optimiser.step()
            losses.append(loss.item())
    explainer.eval()
    return losses


def _batches(num_items: int, size: int, seed: int) -> Iterator[list[int]]:
    generator, left = np.random.default_rng(seed), list[int]()
    while True:
        while len(left) < size:
            left += generator.permutation(num_items).tolist()
        yield left[:size]
        left = left[size:]
