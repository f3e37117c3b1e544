"""Heads, then weights, then heads again: a training whose fusion is fitted out of fold.

1. For each fold of the training clips the model learns from the others; each modality predicts the
   clips that were left out.
2. The weights between the modalities are fitted on these predictions.
3. The heads learn from all training clips; the weights stay.

So a training takes as long as ``folds + 1`` others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from emi_model.architecture.fusions.predictions import PredictionFusion, Predictions
from emi_model.architecture.model import EmiModel
from emi_model.training.clips import TrainingClip
from emi_model.training.config import TrainConfig
from emi_model.training.group import SingleProcess
from emi_model.training.objective.losses import BINOMIAL
from emi_model.training.objective.raters import raters_of
from emi_model.training.out_of_fold.folds import folds_of
from emi_model.training.out_of_fold.held_out import fit_weights, predicted_apart
from emi_model.training.out_of_fold.stages import FoldStage, StageJournal, first_stage, kept_stage
from emi_model.training.state import Journal, fingerprint_of


class Fitted(Protocol):
    """What one training returns."""

    @property
    def seconds(self) -> float:
        """Wall-clock time of the training, that of the stages before it included."""


FoldResult = TypeVar("FoldResult", bound=Fitted)


def fit_in_folds(
    train: Callable[..., FoldResult],
    model: EmiModel,
    train_set: Sequence[TrainingClip],
    valid_set: Sequence[TrainingClip],
    config: TrainConfig,
    *,
    on_epoch: Callable[[Any], None] | None,
    on_fold: Callable[[Any], None] | None,
    device: str | None,
    group: SingleProcess,
    journal: Journal | None,
) -> FoldResult:
    """Train a model whose fusion weighs predictions, in place; return the last stage's result.

    The arguments are those of `emi_model.training.fit.fit`. A training that is resumed needs the
    first weights that it began with.

    Args:
        train: trains the model once, by ``(model, train_set, valid_set, config, on_epoch, journal,
            seconds_before)``.
        model: with first weights.
        train_set: clips to learn from.
        valid_set: clips to watch; they fit nothing.
        config: the recipe.
        on_epoch: called after every epoch of the last stage.
        on_fold: called after every epoch of the stages before.
        device: where the model runs.
        group: the processes that train together.
        journal: where the state is kept.

    Raises:
        TrainingError: as in `fit`, and where all clips are of one speaker.
    """
    fusion = model.fusion
    assert isinstance(fusion, PredictionFusion), "others are not fitted out of fold"
    folds = folds_of(train_set, config)
    whole = fingerprint_of(model.config, config, train_set, valid_set)
    first = {name: weight.detach().cpu().clone() for name, weight in model.state_dict().items()}
    stage = first_stage(len(train_set), len(fusion.modalities), model.config.num_targets)
    if journal is not None and (kept := journal.last()) is not None:
        stage = kept_stage(kept, whole)

    def run(
        clips: Sequence[TrainingClip], valid: Sequence[TrainingClip], **options: Any
    ) -> FoldResult:
        settings = config if valid else replace(config, keep="last")
        own = None if journal is None else StageJournal(journal, stage, whole, config.epochs)
        return train(model, clips, valid, settings, own, stage.seconds, **options)

    def report_fold(report: Any) -> None:
        if on_fold is not None:
            on_fold(replace(report, fold=f"{stage.number + 1} of {len(folds)}"))

    for fold in folds[stage.number :]:
        model.load_state_dict(first)
        left_out = set(fold)
        others = [clip for n, clip in enumerate(train_set) if n not in left_out]
        result = run(others, (), on_epoch=report_fold)
        found = predicted_apart(model, [train_set[index] for index in fold], device, group)
        values, amounts = (part.clone() for part in stage.predictions)
        values[fold], amounts[fold] = found
        stage = FoldStage(stage.number + 1, result.seconds, Predictions(values, amounts))
    model.load_state_dict(first)
    counts = config.rater_weights or config.loss == BINOMIAL
    labels = torch.from_numpy(np.stack([clip.emi for clip in train_set]))
    raters = raters_of(train_set) if counts else None
    fit_weights(fusion, stage.predictions, labels, config, raters)
    return run(train_set, valid_set, on_epoch=on_epoch)
