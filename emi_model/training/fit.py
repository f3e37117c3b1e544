"""Training: clips and a recipe in, the weights worth keeping out.

`fit` trains in one process; several processes that call it with a group train one model together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from emi_model.architecture.config import SIGMOID
from emi_model.architecture.fusions.predictions import PredictionFusion
from emi_model.architecture.model import EmiModel
from emi_model.arrays import Array
from emi_model.errors import TrainingError
from emi_model.metrics.agreement import mean_skill
from emi_model.modalities import AUDIO
from emi_model.training.batches import num_steps
from emi_model.training.clips import TrainingClip
from emi_model.training.config import TrainConfig
from emi_model.training.group import SingleProcess
from emi_model.training.objective.losses import BINOMIAL
from emi_model.training.out_of_fold.train import fit_in_folds
from emi_model.training.state import Journal
from emi_model.training.trainer import EpochReport, Trainer
from emi_model.training.validate import evaluate_clips


@dataclass(frozen=True)
class FitResult:
    """What `fit` did; the weights are in the model.

    Attributes:
        epoch: the epoch whose weights the model has.
        history: one report an epoch; that of the kept one is ``history[epoch - 1]``.
        seconds: wall-clock time of the training.
    """

    epoch: int
    history: tuple[EpochReport, ...]
    seconds: float


def fit(
    model: EmiModel,
    train_set: Sequence[TrainingClip],
    valid_set: Sequence[TrainingClip],
    config: TrainConfig,
    *,
    on_epoch: Callable[[EpochReport], None] | None = None,
    on_fold: Callable[[EpochReport], None] | None = None,
    device: str | None = None,
    group: SingleProcess | None = None,
    journal: Journal | None = None,
) -> FitResult:
    """Train ``model`` in place and leave it in evaluation mode with the weights to keep.

    Two runs with one seed, one number of threads and equal first weights give equal weights on a
    CPU, also if one of them was stopped in between. Several processes give those of one up to the
    order in which floats are added, unless the recipe has dropout, layer drop or SpecAugment:
    those are drawn in each process. The global generators of torch and numpy are seeded.

    Args:
        model: with first weights of any origin.
        train_set: clips to learn from; read anew every epoch, so a lazy sequence will do.
        valid_set: clips to watch, and with ``keep="best"`` to choose the epoch by; may be empty
            with ``keep="last"``.
        config: the recipe.
        on_epoch: called after every epoch.
        on_fold: called after every epoch of the trainings before, each without a fold of the clips,
            where the fusion is fitted out of fold.
        device: ``cpu``, ``cuda`` or ``cuda:N``; default: CUDA if available.
        group: the processes that train together, all with the same clips; default: this one.
        journal: where the state is kept after every epoch, and taken from at the start.

    Raises:
        TrainingError: sets or a model that do not fit the recipe, a state of another training, or
            a loss that is not finite: no step was taken on it, its clips are named.
    """
    group = group or SingleProcess()

    def train(
        model: EmiModel,
        train_set: Sequence[TrainingClip],
        valid_set: Sequence[TrainingClip],
        config: TrainConfig,
        journal: Journal | None,
        seconds_before: float = 0.0,
        on_epoch: Callable[[EpochReport], None] | None = None,
    ) -> FitResult:
        _check(model, train_set, valid_set, config, group)
        for name, branch in model.each_branch().items():
            branch.measure(_inputs_of(name, train_set))
        trainer = Trainer(model, train_set, valid_set, config, device, group)
        if journal is not None and (kept := journal.last()) is not None:
            trainer.restore(kept)
        return _run(trainer, valid_set, journal, seconds_before, on_epoch)

    if isinstance(model.fusion, PredictionFusion):
        _check(model, train_set, valid_set, config, group)
        return fit_in_folds(
            train,
            model,
            train_set,
            valid_set,
            config,
            on_epoch=on_epoch,
            on_fold=on_fold,
            device=device,
            group=group,
            journal=journal,
        )
    return train(model, train_set, valid_set, config, journal, on_epoch=on_epoch)


def _inputs_of(modality: str, clips: Sequence[TrainingClip]) -> Iterator[Array]:
    """Yield the inputs of the clips that have a modality; a clip is read when its turn comes."""
    for clip in clips:
        found = clip.inputs.get(modality)
        if found is not None:
            yield found


def _run(
    trainer: Trainer,
    valid_set: Sequence[TrainingClip],
    journal: Journal | None,
    seconds_before: float,
    on_epoch: Callable[[EpochReport], None] | None,
) -> FitResult:
    """Run the epochs that are left, and give the model the weights to keep."""
    config, model = trainer.config, trainer.model
    began = time.monotonic() - (trainer.seconds or seconds_before)
    while trainer.epoch < config.epochs:
        train_loss = trainer.run_epoch()
        valid = (
            evaluate_clips(
                trainer.smoothed, valid_set, device=trainer.requested, group=trainer.group
            )
            if valid_set
            else None
        )
        report = EpochReport(
            epoch=trainer.epoch,
            num_epochs=config.epochs,
            train_loss=train_loss,
            learning_rate=trainer.optimiser.learning_rate,
            valid=valid,
            valid_pearson=mean_skill(valid) if valid else None,
            seconds=time.monotonic() - began,
        )
        trainer.record(report)
        if journal is not None:
            journal.keep(report.epoch, trainer.write)
        if on_epoch is not None:
            on_epoch(report)
    model.load_state_dict(trainer.best_weights or trainer.smoothed.state_dict())
    model.eval()
    for branch in model.each_branch().values():
        branch.keep_outputs(kept=False)
    return FitResult(
        trainer.best_epoch or config.epochs, tuple(trainer.history), time.monotonic() - began
    )


def _check(
    model: EmiModel,
    train_set: Sequence[TrainingClip],
    valid_set: Sequence[TrainingClip],
    config: TrainConfig,
    group: SingleProcess,
) -> None:
    if not len(train_set):
        raise TrainingError("found no training clip: label some, or check their split")
    if config.keep == "best" and not len(valid_set):
        raise TrainingError("found no validation clip to choose the best epoch by: keep='last'?")
    if not model.config.targets:
        raise TrainingError("the model has no targets, expected one output a label")
    if config.vad_loss_weight and not model.config.vad_head:
        raise TrainingError("vad_loss_weight is set, but the model has no VAD head")
    if config.loss == BINOMIAL and model.config.output != SIGMOID:
        raise TrainingError(
            f"the loss is {BINOMIAL!r}, but the model's output is {model.config.output!r}: take "
            f"the variant `+{BINOMIAL}`, or set model.output={SIGMOID}"
        )
    if config.mixup and model.config.modalities != (AUDIO,):
        raise TrainingError(
            "mixup is set, which mixes waveforms, but the model takes other inputs than audio"
        )
    if config.modality_dropout and len(model.config.required) == len(model.config.modalities):
        raise TrainingError(
            "modality_dropout is set, but the model needs every modality of each clip: make some "
            "of its branches optional"
        )
    smallest = len(train_set) // num_steps(len(train_set), config)
    if smallest < group.size:
        raise TrainingError(
            f"found batches of {smallest} clips for {group.size} workers, expected a clip each: "
            "take fewer workers"
        )
