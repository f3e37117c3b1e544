"""What a recipe is, and what several recipes share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from emi_model.architecture.config import EmiConfig
from emi_model.training.config import TrainConfig


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


def with_training(recipe: Recipe, **changes: Any) -> Recipe:
    """Return a recipe with settings of its training changed."""
    return replace(recipe, train=replace(recipe.train, **changes))


def published_training(
    *, seed: int, epochs: int = 30, modality_dropout: float = 0.0
) -> TrainConfig:
    """Return the settings that the codes of Hallmen et al. 2024 and 2025 and of TAEMI share.

    MSE; AdamW at 1e-4, weight decay 0.01; linear warm-up over one epoch, then a cosine, stepped
    per batch; batches of 32; float16; gradients clipped by value at 100; the best epoch is kept.
    """
    return TrainConfig(
        epochs=epochs,
        batch_size=32,
        learning_rate=1e-4,
        weight_decay=0.01,
        warmup_epochs=1.0,
        loss="mse",
        clip_value=100.0,
        modality_dropout=modality_dropout,
        keep="best",
        mixed_precision=True,
        seed=seed,
    )


def small_backbone(conv_dim: list[int], **arguments: Any) -> EmiConfig:
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
