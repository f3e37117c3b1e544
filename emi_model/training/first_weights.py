"""First weights: from scratch, from a backbone, or from a model that was trained before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from emi_model.architecture.backbones.base import MAX_LAYERS
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.checkpoint import LoadedModel
from emi_model.checkpoints.encoders import load_encoders, with_encoders
from emi_model.checkpoints.pretrained import HEAD, LoadedBackbone, backbone_of
from emi_model.errors import CheckpointError
from emi_model.modalities import AUDIO
from emi_model.training.filterbank import initialise_filterbank
from emi_model.training.recipes import Recipe

FRESH = ("fusion.", "branches.")
"""Prefixes of the weights that no audio backbone has: they are always new."""


def from_scratch(recipe: Recipe, targets: tuple[str, ...]) -> EmiModel:
    """Return a recipe's model with new weights, the same for the same seed.

    Encoders that the recipe refers to are loaded.

    Raises:
        EmiError: one of them cannot be.
    """
    model = _new_model(recipe, replace(recipe.model, targets=targets))
    if recipe.filterbank and AUDIO in recipe.model.branches:
        initialise_filterbank(model)
    return model


def from_backbone(
    recipe: Recipe,
    targets: tuple[str, ...],
    start: LoadedModel | LoadedBackbone,
    *,
    fresh_head: bool = False,
) -> EmiModel:
    """Return a recipe's model over a backbone, with its VAD head; the fusion is new.

    SpecAugment is the backbone's own if the recipe does not set it, and off if the backbone has no
    embedding for masked frames.

    Args:
        recipe: its switches apply; its backbone is replaced by the one that is given.
        targets: outputs, in order.
        start: the VAD model, any model with a backbone, or a backbone alone.
        fresh_head: make a new VAD head if ``start`` has none.

    Raises:
        CheckpointError: the recipe's model needs weights that ``start`` does not have, or an
            encoder that it refers to cannot be loaded.
    """
    source = start if isinstance(start, LoadedBackbone) else backbone_of(start)
    backbone = _arguments(recipe, source)
    model = _new_model(recipe, replace(recipe.model, backbone=backbone, targets=targets))
    given = {**source.weights, **source.head}
    new = (*FRESH, HEAD) if fresh_head and not source.head else FRESH
    wanted = {name for name in model.state_dict() if not name.startswith(new)}
    if missing := sorted(wanted - given.keys()):
        raise CheckpointError(
            f"{source.name}: {len(missing)} weights are missing (would be newly initialised): "
            f"{', '.join(missing[:3])}: name a model with a VAD head"
        )
    kept = {name: given[name] for name in wanted}
    model.load_state_dict({**model.state_dict(), **kept})
    return model


def from_model(targets: tuple[str, ...], start: LoadedModel) -> EmiModel:
    """Return a trained model, to continue training it.

    Raises:
        CheckpointError: it has other targets.
    """
    if start.model.config.targets != targets:
        raise CheckpointError(
            f"{start.card.name} has targets {list(start.model.config.targets)}, the labels "
            f"{list(targets)}: start from the backbone"
        )
    return start.model


def _new_model(recipe: Recipe, config: EmiConfig) -> EmiModel:
    """Return a model with new weights, but those of the encoders that its config refers to."""
    encoders = load_encoders(config)
    torch.manual_seed(recipe.train.seed)
    model = EmiModel(with_encoders(config, encoders))
    for encoder in encoders:
        encoder.give_to(model)
    return model


def _arguments(recipe: Recipe, source: LoadedBackbone) -> dict[str, Any]:
    """Return the backbone's arguments, with the recipe's SpecAugment if the weights allow it."""
    masks = _masks(recipe)
    arguments = {**source.arguments, **masks}
    if source.has_mask_embedding:
        return arguments
    if masks.get("apply_spec_augment"):
        raise CheckpointError(
            f"{source.name} has no weights for masked frames, which recipe {recipe.name!r} needs "
            "(they would be newly initialised): take a recipe without SpecAugment"
        )
    # transformers makes the embedding if a probability is set, whether it is used or not
    return {**arguments, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}


def _masks(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's SpecAugment settings and depth; empty: the backbone's config decides."""
    return {
        name: value
        for name, value in recipe.model.backbone.items()
        if name.startswith("mask_") or name in ("apply_spec_augment", MAX_LAYERS)
    }
