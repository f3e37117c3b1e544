"""Predictions of each modality by itself, for clips that were left out; weights fitted on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from emi_model.architecture.fusions.predictions import PredictionFusion, Predictions
from emi_model.architecture.model import EmiModel
from emi_model.training.clips import TrainingClip
from emi_model.training.config import TrainConfig
from emi_model.training.group import SingleProcess
from emi_model.training.objective.losses import LOSSES
from emi_model.training.validate import outputs_of

WEIGHT_STEPS = 400
LEARNING_RATE = 0.05
WEIGHT_DECAY = 0.1
"""Pulls towards equal weights: a gate has more parameters than a small corpus has clips."""


def predicted_apart(
    model: EmiModel, clips: Sequence[TrainingClip], device: str | None, group: SingleProcess
) -> Predictions:
    """Return what each modality predicts for clips, on the CPU; the processes share the work."""
    own = range(group.rank, len(clips), group.size)
    on = next(model.parameters()).device
    fusion = model.fusion
    assert isinstance(fusion, PredictionFusion), "others have no predictions"
    num_modalities = len(fusion.modalities)
    values = np.zeros((len(own), num_modalities, model.config.num_targets), np.float32)
    amounts = np.zeros((len(own), num_modalities), np.float32)
    scored = outputs_of(model, [clips[index] for index in own], device=device)
    for place, scores in enumerate(scored):
        assert scores.by_modality is not None
        values[place], amounts[place] = scores.by_modality
    parts = [torch.from_numpy(part).to(on) for part in (values, amounts)]
    order = group.gather(torch.tensor(list(own), device=on)).argsort()
    return Predictions(*(group.gather(part)[order].cpu() for part in parts))


def fit_weights(
    fusion: PredictionFusion,
    predictions: Predictions,
    labels: Tensor,
    config: TrainConfig,
    raters: Tensor | None,
) -> None:
    """Fit the weights between the modalities, in place, on the CPU; the heads stay as they are.

    AdamW on all clips at once, with the recipe's loss: without anything random, so the same
    predictions give the same weights.

    Args:
        fusion: with the weights to begin from.
        predictions: for clips that the heads did not learn from.
        labels: (N, targets), NaN where one is missing.
        config: the recipe.
        raters: (N,), how much each clip counts; None: all the same.
    """
    device = next(fusion.parameters()).device
    fusion.cpu()
    own = fusion.weighing()
    adam = torch.optim.AdamW(own, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, WEIGHT_STEPS)
    for _ in range(WEIGHT_STEPS):
        adam.zero_grad()
        torch.autograd.backward(
            LOSSES[config.loss](fusion.weighed(predictions), labels, raters), inputs=own
        )
        adam.step()
        schedule.step()
    adam.zero_grad()
    fusion.to(device)
