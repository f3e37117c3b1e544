"""Variants: small changes to any recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from emi_model.architecture.config import SIGMOID
from emi_model.architecture.encoder_branch import TRAINED
from emi_model.audio.augment import Augmentation
from emi_model.modalities import AUDIO
from emi_model.training.named.recipe import Recipe, with_training
from emi_model.training.objective.losses import BINOMIAL


def frozen_conv(recipe: Recipe) -> Recipe:
    """Leave the backbone's convolutional encoder as it is (Baevski et al., arXiv 2006.11477)."""
    return with_training(recipe, freeze_conv=True)


def frozen_backbone(recipe: Recipe) -> Recipe:
    """Leave the whole audio backbone as it is, in evaluation mode; train what follows it."""
    branches = {
        name: {**arguments, TRAINED: False} if name == AUDIO else arguments
        for name, arguments in recipe.model.branches.items()
    }
    return replace(recipe, model=replace(recipe.model, branches=branches))


def ema(recipe: Recipe) -> Recipe:
    """Average the weights over about the last thousand steps, and return the average."""
    return with_training(recipe, ema_decay=0.999)


def vad(recipe: Recipe) -> Recipe:
    """Learn arousal, dominance, valence beside the targets, where clips are labelled with them."""
    return with_training(recipe, vad_loss_weight=1.0)


def spec_augment(recipe: Recipe) -> Recipe:
    """Mask stretches of frames and of features (SpecAugment, Park et al., arXiv 1904.08779)."""
    masks = {
        "apply_spec_augment": True,
        "mask_time_prob": 0.065,
        "mask_time_length": 10,
        "mask_feature_prob": 0.05,
        "mask_feature_length": max(1, recipe.model.hidden_size // 16),
    }
    backbone = {**recipe.model.backbone, **masks}
    return replace(recipe, model=replace(recipe.model, backbone=backbone))


def augmented(recipe: Recipe) -> Recipe:
    """Change every waveform anew in every epoch: speed, shift, equaliser, gain, noise."""
    changes = Augmentation(
        speed=(0.9, 1.1),
        shift_seconds=0.25,
        equaliser_decibels=6.0,
        gain_decibels=(-6.0, 6.0),
        noise_decibels=(15.0, 40.0),
    )
    return with_training(recipe, augmentation=changes)


def mixup(recipe: Recipe) -> Recipe:
    """Mix every clip with another, waveforms and labels (Zhang et al., arXiv 1710.09412)."""
    return with_training(recipe, mixup=0.5)


def bucketed(recipe: Recipe) -> Recipe:
    """Sort clips by duration within pools of eight batches: less padding, less random batches."""
    return with_training(recipe, bucket_batches=8)


def loss_variant(loss: str) -> Callable[[Recipe], Recipe]:
    """Return the variant that minimises a loss."""

    def variant(recipe: Recipe) -> Recipe:
        return with_training(recipe, loss=loss)

    variant.__doc__ = f"Minimise {loss} (`emi_model.training.objective.losses`)."
    return variant


def modality_dropout(recipe: Recipe) -> Recipe:
    """Leave one of ten optional modalities out, drawn anew for each clip and epoch."""
    return with_training(recipe, modality_dropout=0.1)


def fusion_variant(name: str) -> Callable[[Recipe], Recipe]:
    """Return the variant that takes a fusion of this name."""

    def variant(recipe: Recipe) -> Recipe:
        return replace(recipe, model=replace(recipe.model, fusion={"name": name}))

    variant.__doc__ = f"Take the fusion {name} (`emi_model.architecture.fusions`)."
    return variant


def binomial(recipe: Recipe) -> Recipe:
    """Take labels for shares of raters: a binomial likelihood, outputs between 0 and 1."""
    bounded = replace(recipe.model, output=SIGMOID)
    return replace(with_training(recipe, loss=BINOMIAL), model=bounded)


def rater_weights(recipe: Recipe) -> Recipe:
    """Count a clip in the loss by the number of its raters, recorded or inferred."""
    return with_training(recipe, rater_weights=True)
