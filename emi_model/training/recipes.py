"""Recipes: named functions that return a complete training, architecture and settings.

A name is a recipe's, with variants added by ``+``: ``paper``, ``paper+mse_ccc``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from emi_model.architecture.config import EmiConfig
from emi_model.audio.augment import Augmentation
from emi_model.errors import ConfigError
from emi_model.training.config import TrainConfig
from emi_model.training.losses import LOSSES

PUBLIC_VAD_MODEL = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
"""The paper's backbone with its VAD head (Wagner et al., arXiv 2203.07378), CC BY-NC-SA 4.0."""


@dataclass(frozen=True)
class Recipe:
    """A complete training but for the clips.

    Attributes:
        name: as the user gave it.
        train: how it is trained.
        model: the architecture; its targets are replaced by those of the labels, and its backbone
            by that of ``backbone`` where one is named.
        backbone: reference of the VAD model whose weights it starts from; None: from scratch.
        filterbank: from scratch, the first convolution starts as a bank of band-pass filters
            (`emi_model.training.filterbank`), not at random.
    """

    name: str
    train: TrainConfig
    model: EmiConfig
    backbone: str | None = None
    filterbank: bool = False


def paper() -> Recipe:
    """Return the recipe of Hallmen et al. (arXiv 2403.11879), as in the authors' code.

    MSE; AdamW at 1e-4, weight decay 0.01; linear warm-up over one epoch, then a cosine, stepped
    per batch; 30 epochs in batches of 32, shuffled and nothing else; float16 autocast; gradients
    clipped by value at 100; seed 1; the best epoch by mean validation Pearson. Dropout, layer drop
    and SpecAugment are those of the backbone's own config.
    """
    train = TrainConfig(
        epochs=30,
        batch_size=32,
        learning_rate=1e-4,
        weight_decay=0.01,
        warmup_epochs=1.0,
        loss="mse",
        clip_value=100.0,
        keep="best",
        mixed_precision=True,
        seed=1,
    )
    return Recipe("paper", train, EmiConfig(), PUBLIC_VAD_MODEL)


def debug() -> Recipe:
    """Return a recipe that shows in seconds whether training works: tiny, nothing random in it.

    Without dropout, layer drop and masks, any number of workers gives the same losses; golden
    losses stand in ``tests/emi_model/training/test_golden_losses.py``.
    """
    train = TrainConfig(
        epochs=3,
        batch_size=8,
        learning_rate=3e-3,
        warmup_epochs=1.0,
        loss="mse+pearson",
        vad_loss_weight=1.0,
        clip_norm=1.0,
        bucket_batches=2,
        augmentation=Augmentation(speed=(0.95, 1.05), noise_decibels=(30.0, 40.0)),
        ema_decay=0.5,
        keep="best",
        seed=1,
    )
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = _small_backbone([8] * 7, **sizes, intermediate_size=32, num_conv_pos_embeddings=16)
    return Recipe("debug", train, model)


def demo() -> Recipe:
    """Return the recipe of the demo: 80 short clips from scratch, a minute on one core.

    The last weights are kept, so the held-out clips choose nothing. In so few steps a rate of
    1e-3 is too low (0.81 after 16 epochs, against 0.93), and one of 5e-3 gains nothing.
    """
    train = TrainConfig(
        epochs=24,
        batch_size=16,
        learning_rate=3e-3,
        weight_decay=0.01,
        warmup_epochs=3.0,
        loss="mse+pearson",
        vad_loss_weight=1.0,
        clip_norm=1.0,
        crop_seconds=2.5,
        augmentation=Augmentation(speed=(0.92, 1.08), noise_decibels=(20.0, 40.0)),
        ema_decay=0.9,
        keep="last",
        seed=1,
    )
    model = _small_backbone(
        [32, 32, 32, 48, 48, 64, 64],
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=192,
        num_conv_pos_embeddings=32,
        final_dropout=0.1,
    )
    return Recipe("demo", train, model)


def paper_small() -> Recipe:
    """Return the paper's architecture with a small backbone, for a few hundred clips from scratch.

    Three convolutions hop as far as the paper's seven (20 ms) at less than half their cost; the
    first starts as a filterbank; the LSTM has one layer. Dropout, masks, mixed and changed
    waveforms keep 0.8 M weights from memorising the clips.
    """
    train = TrainConfig(
        epochs=50,
        batch_size=32,
        learning_rate=2e-3,
        weight_decay=0.01,
        warmup_epochs=3.0,
        loss="mse+pearson",
        clip_norm=1.0,
        bucket_batches=4,
        augmentation=Augmentation(
            speed=(0.85, 1.18), equaliser_decibels=8.0, noise_decibels=(15.0, 40.0)
        ),
        mixup=0.5,
        ema_decay=0.99,
        keep="last",
        seed=1,
    )
    model = _small_backbone(
        [160, 96, 96],
        conv_kernel=[256, 8, 3],
        conv_stride=[40, 4, 2],
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        num_conv_pos_embeddings=32,
        hidden_dropout=0.3,
        attention_dropout=0.2,
        activation_dropout=0.3,
        feat_proj_dropout=0.3,
        final_dropout=0.3,
        apply_spec_augment=True,
        mask_time_prob=0.1,
        mask_time_length=5,
        mask_feature_prob=0.05,
        mask_feature_length=8,
    )
    return Recipe("paper_small", train, replace(model, lstm_layers=1), filterbank=True)


RECIPES: MappingProxyType[str, Callable[[], Recipe]] = MappingProxyType(
    {function.__name__: function for function in (paper, paper_small, debug, demo)}
)
"""Recipes by the names that flags use."""


def frozen_conv(recipe: Recipe) -> Recipe:
    """Leave the backbone's convolutional encoder as it is (Baevski et al., arXiv 2006.11477)."""
    return _trained(recipe, freeze_conv=True)


def ema(recipe: Recipe) -> Recipe:
    """Average the weights over about the last thousand steps, and return the average."""
    return _trained(recipe, ema_decay=0.999)


def vad(recipe: Recipe) -> Recipe:
    """Learn arousal, dominance, valence beside the targets, where clips are labelled with them."""
    return _trained(recipe, vad_loss_weight=1.0)


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
    return _trained(recipe, augmentation=changes)


def mixup(recipe: Recipe) -> Recipe:
    """Mix every clip with another, waveforms and labels (Zhang et al., arXiv 1710.09412)."""
    return _trained(recipe, mixup=0.5)


def bucketed(recipe: Recipe) -> Recipe:
    """Sort clips by duration within pools of eight batches: less padding, less random batches."""
    return _trained(recipe, bucket_batches=8)


def _loss_variant(loss: str) -> Callable[[Recipe], Recipe]:
    def variant(recipe: Recipe) -> Recipe:
        return _trained(recipe, loss=loss)

    variant.__doc__ = f"Minimise {loss} (`emi_model.training.losses`)."
    return variant


VARIANTS: MappingProxyType[str, Callable[[Recipe], Recipe]] = MappingProxyType(
    {
        **{loss.replace("+", "_"): _loss_variant(loss) for loss in sorted(LOSSES)},
        **{
            function.__name__: function
            for function in (frozen_conv, ema, vad, spec_augment, augmented, mixup, bucketed)
        },
    }
)
"""Variants by the names that follow a ``+``."""


def recipe_named(name: str) -> Recipe:
    """Return the recipe of a name such as ``paper+mse_ccc``.

    Raises:
        ConfigError: no recipe or variant of that name.
    """
    base, *variants = name.split("+")
    if base not in RECIPES:
        raise ConfigError(f"found no recipe {base!r}, expected one of {', '.join(RECIPES)}")
    return replace(with_variants(RECIPES[base](), variants), name=name)


def with_variants(recipe: Recipe, variants: Iterable[str]) -> Recipe:
    """Return a recipe with variants added.

    Raises:
        ConfigError: no variant of that name.
    """
    for variant in variants:
        if variant not in VARIANTS:
            raise ConfigError(
                f"found no variant {variant!r}, expected one of {', '.join(VARIANTS)}"
            )
        recipe = VARIANTS[variant](recipe)
    return recipe


def _trained(recipe: Recipe, **changes: Any) -> Recipe:
    return replace(recipe, train=replace(recipe.train, **changes))


def _small_backbone(conv_dim: list[int], **arguments: Any) -> EmiConfig:
    """Return the paper's architecture over a small backbone; only named arguments add dropout."""
    no_dropout = dict.fromkeys(
        ("layerdrop", "hidden_dropout", "attention_dropout", "activation_dropout"), 0.0
    ) | dict.fromkeys(("feat_proj_dropout", "final_dropout"), 0.0)
    return EmiConfig(
        backbone={
            "conv_dim": conv_dim,
            "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
            "conv_stride": [5, 2, 2, 2, 2, 2, 2],
            "conv_bias": True,
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
            "num_conv_pos_embedding_groups": 8,
            "apply_spec_augment": False,
            "vocab_size": None,
            **no_dropout,
            **arguments,
        }
    )
