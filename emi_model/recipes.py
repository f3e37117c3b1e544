"""Recipes: named functions that return a complete training configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from emi_model.augment import Augmentation
from emi_model.config import EmiConfig
from emi_model.errors import ConfigError
from emi_model.losses import LOSSES


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides how a model is trained, but the model and the clips.

    Attributes:
        epochs: passes over the training clips.
        batch_size: clips of one step.
        learning_rate: AdamW's highest, after the warm-up.
        weight_decay: AdamW's.
        warmup_epochs: epochs over which the rate rises linearly from 0, in steps; a cosine then
            takes it to 0 at the end of the last epoch.
        loss: key of ``losses.LOSSES``, for the EMI outputs.
        vad_loss_weight: weight of the mean squared error of the clip's mean VAD beside the loss;
            clips without VAD labels are left out of it.
        clip_value: bound on every gradient's absolute value; None for none.
        clip_norm: bound on the norm of all gradients together; None for none.
        crop_seconds: train on a random stretch of this length; None: on the start of the clip,
            as long as the model hears at once.
        augmentation: changes to the training waveforms.
        ema_decay: keep an exponential moving average of the weights with this decay a step, and
            evaluate and return that; None for the weights themselves.
        keep: ``best``: the epoch with the highest mean validation Pearson; ``last``: the last one.
        mixed_precision: float16 autocast with loss scaling on a GPU; float32 on a CPU always.
        seed: of the order, the crops, the dropout; the model's first weights have been drawn
            before.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup_epochs: float = 1.0
    loss: str = "mse"
    vad_loss_weight: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    crop_seconds: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    ema_decay: float | None = None
    keep: Literal["best", "last"] = "best"
    mixed_precision: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        """Check every field."""
        if self.loss not in LOSSES:
            raise ConfigError(f"loss is {self.loss!r}, expected one of {sorted(LOSSES)}")
        if self.keep not in ("best", "last"):
            raise ConfigError(f"keep is {self.keep!r}, expected 'best' or 'last'")
        for name in ("epochs", "batch_size"):
            self._expect(name, getattr(self, name) >= 1, "1 or more")
        for name in ("learning_rate", "clip_value", "clip_norm", "crop_seconds"):
            value = getattr(self, name)
            self._expect(name, value is None or value > 0, "more than 0")
        for name in ("weight_decay", "vad_loss_weight", "seed"):
            self._expect(name, getattr(self, name) >= 0, "0 or more")
        self._expect("warmup_epochs", 0 <= self.warmup_epochs < self.epochs, "[0, epochs)")
        self._expect("ema_decay", self.ema_decay is None or 0 < self.ema_decay < 1, "(0, 1)")

    def _expect(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ConfigError(f"{name} is {getattr(self, name)}, expected {expected}")


def paper() -> TrainConfig:
    """Return the recipe of Hallmen et al. (arXiv 2403.11879), as in the authors' code.

    MSE; AdamW at 1e-4, weight decay 0.01; linear warm-up over one epoch, then a cosine, stepped
    per batch; 30 epochs in batches of 32; float16 autocast; gradients clipped by value at 100;
    seed 1; the best epoch by mean validation Pearson.
    """
    return TrainConfig(
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


def demo() -> TrainConfig:
    """Return the recipe of the demo: 80 short clips from scratch, a minute on one core.

    The last weights are kept, so the held-out clips choose nothing. In so few steps a rate of
    1e-3 is too low (0.81 after 16 epochs, against 0.93), and one of 5e-3 gains nothing.
    """
    return TrainConfig(
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


def demo_model() -> EmiConfig:
    """Return the demo's model: the paper's architecture, small."""
    return EmiConfig(
        backbone={
            "hidden_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 192,
            "conv_dim": [32, 32, 32, 48, 48, 64, 64],
            "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
            "conv_stride": [5, 2, 2, 2, 2, 2, 2],
            "conv_bias": True,
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
            "num_conv_pos_embeddings": 32,
            "num_conv_pos_embedding_groups": 8,
            "layerdrop": 0.0,
            "hidden_dropout": 0.0,
            "attention_dropout": 0.0,
            "activation_dropout": 0.0,
            "feat_proj_dropout": 0.0,
            "final_dropout": 0.1,
            "apply_spec_augment": False,
            "vocab_size": None,
        }
    )


RECIPES: MappingProxyType[str, Callable[[], TrainConfig]] = MappingProxyType(
    {"paper": paper, "demo": demo}
)
"""Recipes by the names that flags use."""
