"""Training in one process: clips and a recipe in, the weights worth keeping out."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emi_model.audio import Int16Waveform, Waveform, normalise, to_float
from emi_model.augment import augment, random_crop
from emi_model.batching import pad
from emi_model.errors import OutOfMemory, TrainingError
from emi_model.losses import LOSSES, mse_loss
from emi_model.metrics import TargetMetrics, evaluate, mean_pearson
from emi_model.model import EmiModel, EmiOutput
from emi_model.optimiser import Optimiser
from emi_model.predict import Predictor, Scores
from emi_model.recipes import TrainConfig

Floats = NDArray[np.float32]

CLIPS_AT_ONCE = 256
"""Clips whose waveforms are held at once while predicting."""


@dataclass(frozen=True, eq=False)
class LabelledClip:
    """A clip with what the raters said of it.

    Attributes:
        clip_id: path below the corpus root.
        waveform: int16 (samples,), 16 kHz mono, at least one frame of the backbone.
        emi: (targets,) in [0, 1].
        vad: (3,) arousal, dominance, valence in [0, 1]; None where nobody rated it.
    """

    clip_id: str
    waveform: Int16Waveform
    emi: Floats
    vad: Floats | None = None


@dataclass(frozen=True)
class EpochReport:
    """How training stands after an epoch.

    Attributes:
        epoch: counted from 1.
        num_epochs: epochs of the recipe.
        train_loss: mean over the epoch's steps.
        learning_rate: of the step after the epoch.
        valid: figures of each target on the validation clips; None without such clips.
        valid_pearson: mean Pearson over the targets; None without clips or where undefined.
        seconds: since `fit` began.
    """

    epoch: int
    num_epochs: int
    train_loss: float
    learning_rate: float
    valid: dict[str, TargetMetrics] | None
    valid_pearson: float | None
    seconds: float


@dataclass(frozen=True)
class FitResult:
    """What `fit` did; the weights are in the model.

    Attributes:
        epoch: the epoch whose weights the model holds.
        history: one report an epoch; that of the kept one is ``history[epoch - 1]``.
        seconds: wall-clock time of all of it.
    """

    epoch: int
    history: tuple[EpochReport, ...]
    seconds: float


def fit(
    model: EmiModel,
    train_set: Sequence[LabelledClip],
    valid_set: Sequence[LabelledClip],
    config: TrainConfig,
    *,
    on_epoch: Callable[[EpochReport], None] | None = None,
    device: str | None = None,
) -> FitResult:
    """Train ``model`` in place and leave it in evaluation mode with the weights to keep.

    Two runs with one seed, one number of threads and equal first weights give equal weights on a
    CPU. The global generators of torch and numpy are seeded (dropout, SpecAugment).

    Args:
        model: with first weights of any origin.
        train_set: clips to learn from; read anew every epoch, so a lazy sequence will do.
        valid_set: clips to watch, and with ``keep="best"`` to choose the epoch by; may be empty
            with ``keep="last"``.
        config: the recipe.
        on_epoch: called after every epoch.
        device: ``cpu``, ``cuda`` or ``cuda:N``; default: CUDA if available.

    Raises:
        TrainingError: sets or a model that do not fit the recipe, or a loss that is not finite.
    """
    _check(model, train_set, valid_set, config)
    started = time.monotonic()
    trainer = _Trainer(model, train_set, config, device)
    best = _Best(config.epochs)
    history: list[EpochReport] = []
    for epoch in range(1, config.epochs + 1):
        train_loss = trainer.run_epoch()
        valid = (
            evaluate_clips(trainer.optimiser.smoothed, valid_set, device=device)
            if valid_set
            else None
        )
        report = EpochReport(
            epoch=epoch,
            num_epochs=config.epochs,
            train_loss=train_loss,
            learning_rate=trainer.optimiser.learning_rate,
            valid=valid,
            valid_pearson=mean_pearson(valid) if valid else None,
            seconds=time.monotonic() - started,
        )
        history.append(report)
        if config.keep == "best":
            best.offer(report, trainer.optimiser.smoothed)
        if on_epoch is not None:
            on_epoch(report)
    model.load_state_dict(best.weights or trainer.optimiser.smoothed.state_dict())
    model.eval()
    return FitResult(best.epoch, tuple(history), time.monotonic() - started)


def predict_clips(
    model: EmiModel, clips: Sequence[LabelledClip], *, device: str | None = None
) -> Floats:
    """Return EMI scores (N, targets), clipped to [0, 1], of the start of each clip.

    The model hears one window, ``clip_seconds`` of its config, and is left in evaluation mode.

    Raises:
        AudioError: a clip of less than one frame.
        OutOfMemory: a clip that does not fit, even alone.
    """
    predictor = Predictor(model, precision="fp32", device=device)
    limit = model.config.window_samples
    rows: list[Floats] = []
    for start in range(0, len(clips), CLIPS_AT_ONCE):
        some = [clips[index] for index in range(start, min(start + CLIPS_AT_ONCE, len(clips)))]
        rows += map(_emi_of, predictor([clip.waveform[:limit] for clip in some]))
    return np.stack(rows)


def evaluate_clips(
    model: EmiModel, clips: Sequence[LabelledClip], *, device: str | None = None
) -> dict[str, TargetMetrics]:
    """Return the figures of each target on labelled clips; see `predict_clips`.

    Raises:
        AudioError: a clip of less than one frame.
        OutOfMemory: a clip that does not fit, even alone.
    """
    predictions = predict_clips(model, clips, device=device)
    return evaluate(predictions, np.stack([clip.emi for clip in clips]), model.config.targets)


class _Best:
    """The weights of the epoch with the highest mean validation Pearson."""

    def __init__(self, last_epoch: int) -> None:
        self.epoch = last_epoch
        self.weights: dict[str, Tensor] | None = None
        self._pearson = -math.inf

    def offer(self, report: EpochReport, model: EmiModel) -> None:
        """Take the epoch's weights if they are better than those held."""
        if report.valid_pearson is not None and report.valid_pearson > self._pearson:
            self.epoch, self._pearson = report.epoch, report.valid_pearson
            self.weights = copy.deepcopy(model.state_dict())


class _Trainer:
    """What lives from epoch to epoch: the optimiser and the random state."""

    def __init__(
        self,
        model: EmiModel,
        clips: Sequence[LabelledClip],
        config: TrainConfig,
        device: str | None,
    ) -> None:
        torch.manual_seed(config.seed)
        np.random.seed(config.seed)  # transformers draws SpecAugment's masks from it
        self._rng = np.random.default_rng(config.seed)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model = model.to(self._device)
        self._clips = clips
        self._config = config
        self._steps_per_epoch = math.ceil(len(clips) / config.batch_size)
        self.optimiser = Optimiser(self._model, config, self._steps_per_epoch)

    def run_epoch(self) -> float:
        """Take one step a batch; return the mean loss over the steps."""
        self._model.train()
        losses = [self._step(batch) for batch in self._batches()]
        return sum(losses) / len(losses)

    def _batches(self) -> Iterator[list[LabelledClip]]:
        """Yield shuffled batches of almost one size: no step sees a rest of one or two clips."""
        order = self._rng.permutation(len(self._clips))
        for indices in np.array_split(order, self._steps_per_epoch):
            yield [self._clips[int(index)] for index in indices]

    def _step(self, batch: list[LabelledClip]) -> float:
        waveforms, num_samples = pad([self._prepare(clip) for clip in batch])
        output = self._model(
            waveforms.to(self._device),
            num_samples.to(self._device),
            backbone_dtype=torch.float16 if self.optimiser.mixed else None,
        )
        loss = _loss(output, batch, self._config)
        value = loss.item()
        if not math.isfinite(value):
            names = ", ".join(clip.clip_id for clip in batch)
            raise TrainingError(f"the loss is {value} on {names}: lower the learning rate")
        self.optimiser.step(loss)
        return value

    def _prepare(self, clip: LabelledClip) -> Waveform:
        """Crop, change and normalise a clip; return float32 (samples,)."""
        waveform = clip.waveform
        if self._config.crop_seconds is not None:
            waveform = random_crop(waveform, self._config.crop_seconds, self._rng)
        heard = to_float(waveform[: self._model.config.window_samples])
        changed = augment(heard, self._config.augmentation, self._rng)
        shortest = self._model.backbone.geometry.min_samples
        if len(changed) < shortest:
            raise TrainingError(
                f"{clip.clip_id} gives {len(changed)} samples, expected {shortest} (one frame) or "
                "more: leave it out"
            )
        return normalise(changed)


def _loss(output: EmiOutput, batch: Sequence[LabelledClip], config: TrainConfig) -> Tensor:
    assert output.emi is not None, "a model without targets has been refused"
    labels = _labels_of(batch, output.emi.shape[1]).to(output.emi)
    loss = LOSSES[config.loss](output.emi, labels)
    rated = [(row, clip.vad) for row, clip in enumerate(batch) if clip.vad is not None]
    if config.vad_loss_weight and output.vad_mean is not None and rated:
        vad = torch.from_numpy(np.stack([vad for _, vad in rated])).to(loss)
        heard = output.vad_mean[[row for row, _ in rated]]
        loss = loss + config.vad_loss_weight * mse_loss(heard, vad)
    return loss


def _labels_of(batch: Sequence[LabelledClip], num_targets: int) -> Tensor:
    """Return (B, targets); one label for many targets would broadcast, so shapes are checked."""
    for clip in batch:
        if clip.emi.shape != (num_targets,):
            raise TrainingError(
                f"{clip.clip_id} has labels of shape {clip.emi.shape}, expected {num_targets}"
            )
    return torch.from_numpy(np.stack([clip.emi for clip in batch]))


def _emi_of(scores: Scores | OutOfMemory) -> Floats:
    if isinstance(scores, OutOfMemory):
        raise scores
    assert scores.emi is not None, "a model without targets has been refused"
    return scores.emi.clip(0.0, 1.0)


def _check(
    model: EmiModel,
    train_set: Sequence[LabelledClip],
    valid_set: Sequence[LabelledClip],
    config: TrainConfig,
) -> None:
    if not len(train_set):
        raise TrainingError("found no training clip: label some, or check their split")
    if config.keep == "best" and not len(valid_set):
        raise TrainingError("found no validation clip to choose the best epoch by: keep='last'?")
    if not model.config.targets:
        raise TrainingError("the model has no targets, expected one output a label")
    if config.vad_loss_weight and model.vad_head is None:
        raise TrainingError("vad_loss_weight is set, but the model has no VAD head")
