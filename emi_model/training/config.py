"""How a model is trained: every setting, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from emi_model.audio.augment import Augmentation
from emi_model.errors import ConfigError
from emi_model.training.objective.losses import LOSSES

ADDED: Mapping[str, Any] = {"modality_dropout": 0.0, "rater_weights": False, "folds": 5}
"""Fields of `TrainConfig` that came later, with their defaults."""


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
        rater_weights: a clip counts in the loss by the number of its raters, see
            `emi_model.training.objective.raters`; in the loss ``binomial`` it always does.
        folds: parts of the training clips, by speakers, each left out once, where a fusion is
            fitted on predictions for clips that its heads did not learn from.
        vad_loss_weight: weight of the mean squared error of the clip's mean VAD beside the loss;
            clips without VAD labels are left out of it.
        clip_value: bound on every gradient's absolute value; None for none.
        clip_norm: bound on the norm of all gradients together; None for none.
        freeze_conv: leave the backbone's convolutional encoder as it is.
        bucket_batches: clips are sorted by duration within pools of so many batches, so that a
            batch holds little padding; 1 leaves them as shuffled.
        crop_seconds: train on a random stretch of this length; None: on the start of the clip,
            as long as the model's window.
        augmentation: changes to the training waveforms.
        mixup: mix every clip with another, waveforms and labels, by shares from ``Beta(mixup,
            mixup)`` (Zhang et al., arXiv 1710.09412); the clip itself has the larger share; 0 mixes
            nothing.
        modality_dropout: probability, in [0, 1), with which an optional modality of a training
            clip is left out, drawn for each clip, epoch and modality by itself; one is always left.
        ema_decay: keep an exponential moving average of the weights with this decay a step, and
            evaluate and return that; None for the weights themselves.
        keep: ``best``: the epoch with the highest mean validation Pearson, in which a target whose
            predictions are all alike counts 0; ``last``: the last one.
        mixed_precision: float16 autocast with loss scaling on a GPU; float32 on a CPU always.
        seed: of the order, the crops, the dropout; the model's first weights are drawn earlier.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup_epochs: float = 1.0
    loss: str = "mse"
    rater_weights: bool = False
    folds: int = 5
    vad_loss_weight: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    freeze_conv: bool = False
    bucket_batches: int = 1
    crop_seconds: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixup: float = 0.0
    modality_dropout: float = 0.0
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
        self._expect("folds", self.folds >= 2, "2 or more")
        for name in ("epochs", "batch_size", "bucket_batches"):
            self._expect(name, getattr(self, name) >= 1, "1 or more")
        for name in ("learning_rate", "clip_value", "clip_norm", "crop_seconds"):
            value = getattr(self, name)
            self._expect(name, value is None or value > 0, "more than 0")
        for name in ("weight_decay", "vad_loss_weight", "mixup", "seed"):
            self._expect(name, getattr(self, name) >= 0, "0 or more")
        self._expect("warmup_epochs", 0 <= self.warmup_epochs < self.epochs, "[0, epochs)")
        self._expect("modality_dropout", 0 <= self.modality_dropout < 1, "[0, 1)")
        self._expect("ema_decay", self.ema_decay is None or 0 < self.ema_decay < 1, "(0, 1)")

    @property
    def repeats_inputs(self) -> bool:
        """Whether a clip's inputs are the same in every epoch."""
        drawn = self.mixup or self.crop_seconds is not None
        return not drawn and self.augmentation == Augmentation()

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, without those of `ADDED` that have their default.

        A training's identity is a hash of this: fields that came later do not change it.
        """
        plain = asdict(self)
        return {name: plain[name] for name in plain if plain[name] != ADDED.get(name, ADDED)}

    def _expect(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ConfigError(f"{name} is {getattr(self, name)}, expected {expected}")
