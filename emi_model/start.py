"""First weights: from scratch, from a VAD backbone, or from a model that was trained before."""

from __future__ import annotations

from dataclasses import replace

import torch

from emi_model.checkpoint import LoadedModel
from emi_model.errors import CheckpointError
from emi_model.model import EmiModel
from emi_model.recipes import Recipe

FRESH = "fusion."
"""Weights that a VAD model does not have: they are always new."""


def from_scratch(recipe: Recipe, targets: tuple[str, ...]) -> EmiModel:
    """Return a recipe's model with new weights, the same for the same seed."""
    torch.manual_seed(recipe.train.seed)
    return EmiModel(replace(recipe.model, targets=targets))


def from_backbone(recipe: Recipe, targets: tuple[str, ...], start: LoadedModel) -> EmiModel:
    """Return a recipe's model over a VAD model's backbone and head; the fusion is new.

    Args:
        recipe: its switches hold, its backbone gives way to the VAD model's.
        targets: outputs, in order.
        start: the VAD model, or any model with a backbone.

    Raises:
        CheckpointError: the recipe's model has a VAD head and the other has none.
    """
    torch.manual_seed(recipe.train.seed)
    backbone = {**start.model.config.backbone, **_masks(recipe)}
    model = EmiModel(replace(recipe.model, backbone=backbone, targets=targets))
    state = start.model.state_dict()
    wanted = {name for name in model.state_dict() if not name.startswith(FRESH)}
    if missing := sorted(wanted - state.keys()):
        raise CheckpointError(
            f"{start.card.name}: {len(missing)} weights are missing (would be newly initialised): "
            f"{', '.join(missing[:3])}: name a model with a VAD head"
        )
    kept = {name: state[name] for name in wanted}
    model.load_state_dict({**model.state_dict(), **kept})
    return model


def from_model(targets: tuple[str, ...], start: LoadedModel) -> EmiModel:
    """Return a trained model to train on.

    Raises:
        CheckpointError: it has other targets.
    """
    if start.model.config.targets != targets:
        raise CheckpointError(
            f"{start.card.name} has targets {list(start.model.config.targets)}, the labels "
            f"{list(targets)}: start from the backbone"
        )
    return start.model


def _masks(recipe: Recipe) -> dict[str, object]:
    """Return what a recipe says of SpecAugment; nothing leaves it to the backbone's config."""
    return {
        name: value
        for name, value in recipe.model.backbone.items()
        if name.startswith("mask_") or name == "apply_spec_augment"
    }
