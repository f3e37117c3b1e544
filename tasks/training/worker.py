"""The training loop of a Ray Train worker: clips from the cache, weights to a checkpoint."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
import torch
from pyarrow.fs import LocalFileSystem
from ray.train import Checkpoint
from ray.train.torch import get_device

from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.checkpoints.pretrained import load_backbone
from emi_model.errors import EmiError
from emi_model.metrics.conformal import calibrate
from emi_model.training.first_weights import from_backbone, from_model, from_scratch
from emi_model.training.fit import FitResult, fit
from emi_model.training.group import ProcessGroup, SingleProcess
from emi_model.training.recipes import Recipe
from emi_model.training.state import STATE_FILE
from emi_model.training.validate import predict_clips
from tasks.evaluation.encoded_clips import with_encoded
from tasks.labels.labelled_clips import CachedClip
from tasks.labels.splits import TRAIN, VALID

MODEL_FOLDER = "model"
HISTORY_FILE = "history.json"
PREDICTIONS_FILE = "valid_predictions.npy"


@dataclass(frozen=True)
class TrainingJob:
    """All that a worker needs to train.

    Attributes:
        recipe: what to train and how.
        targets: of the labels, in order.
        train: clips to learn from.
        valid: clips to choose the epoch by, and to calibrate on.
        start: folder of the model to start from; None: from scratch.
        warm: start from all weights of ``start``, not only from its backbone.
        card: of the new model, without its metrics.
        split_sha256: hash of the split, hex.
        threads: PyTorch threads of a worker.
    """

    recipe: Recipe
    targets: tuple[str, ...]
    train: tuple[CachedClip, ...]
    valid: tuple[CachedClip, ...]
    start: str | None
    warm: bool
    card: ModelCard
    split_sha256: str
    threads: int

    def first_model(self) -> EmiModel:
        """Return the model with its first weights."""
        if self.start is None:
            return from_scratch(self.recipe, self.targets)
        if self.warm:
            return from_model(self.targets, load_model(self.start))
        loaded = load_backbone(self.start)
        return from_backbone(self.recipe, self.targets, loaded, fresh_head=True)


def local_folder(checkpoint: Checkpoint) -> Path:
    """Return the folder of a checkpoint on this machine, fetched if it lies elsewhere."""
    if isinstance(checkpoint.filesystem, LocalFileSystem):
        return Path(checkpoint.path)
    return Path(checkpoint.to_directory())


class RayJournal:
    """The state of a training among the checkpoints of its Ray Train run."""

    def __init__(self, rank: int) -> None:
        """Make a scratch folder; only the worker of rank 0 writes states."""
        self._rank = rank
        self._scratch = Path(tempfile.mkdtemp(prefix="emi-training-"))

    def last(self) -> Path | None:
        """Return the file of the last state, fetched if the run keeps it elsewhere."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return None
        return local_folder(checkpoint) / STATE_FILE

    def keep(self, epoch: int, write: Callable[[Path], None]) -> None:
        """Hand the state to Ray Train, which keeps it completely or not at all."""
        folder = Path(tempfile.mkdtemp(prefix=f"epoch{epoch}-", dir=self._scratch))
        if self._rank == 0:
            write(folder / STATE_FILE)
        self.report({"epoch": epoch}, folder)

    def report(self, metrics: dict[str, Any], folder: Path) -> None:
        """Report to Ray Train, with the folder's files as the checkpoint; removes the folder."""
        checkpoint = Checkpoint.from_directory(str(folder)) if self._rank == 0 else None
        ray.train.report(metrics, checkpoint=checkpoint)
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the scratch folder."""
        shutil.rmtree(self._scratch, ignore_errors=True)


def train_loop(settings: dict[str, Any]) -> None:
    """Train; a Ray Train worker runs this.

    Args:
        settings: ``job``, a `TrainingJob`, and ``watcher``, a handle of a
            `tasks.cluster.mailbox.ReportMailbox`.
    """
    job: TrainingJob = settings["job"]
    watcher: Any = settings["watcher"]
    context = ray.train.get_context()
    torch.set_num_threads(job.threads)
    group = ProcessGroup() if context.get_world_size() > 1 else SingleProcess()
    journal = RayJournal(group.rank)

    def send(report: Any) -> None:
        if group.rank == 0:
            ray.get(watcher.report.remote(asdict(report)))

    try:
        model = job.first_model()
        device = str(get_device())
        job = replace(
            job,
            train=with_encoded(model, job.train, device=device, group=group),
            valid=with_encoded(model, job.valid, device=device, group=group),
        )
        result = fit(
            model,
            job.train,
            job.valid,
            job.recipe.train,
            on_epoch=send,
            device=device,
            group=group,
            journal=journal,
        )
        folder = Path(tempfile.mkdtemp(prefix="emi-model-"))
        if group.rank == 0:
            write_outcome(job, model, result, folder)
            state = journal.last()
            if state is not None:  # with it a repeated run finds that training is done
                shutil.copy(state, folder / STATE_FILE)
        journal.report({"epoch": result.epoch, "done": True}, folder)
    except EmiError as error:
        ray.get(watcher.fail.remote(str(error)))
        raise
    finally:
        journal.close()


def write_outcome(job: TrainingJob, model: EmiModel, result: FitResult, folder: Path) -> None:
    """Write the checkpoint, calibrated on the validation clips, its history and predictions."""
    predictions = predict_clips(model, job.valid) if job.valid else None
    intervals, metrics = None, {}
    if predictions is not None:
        truth = np.stack([clip.emi for clip in job.valid])
        intervals = calibrate(predictions, truth, job.targets, split_sha256=job.split_sha256)
        np.save(folder / PREDICTIONS_FILE, predictions)
        kept = result.history[result.epoch - 1]
        metrics = {"valid_pearson": kept.valid_pearson} if kept.valid_pearson is not None else {}
    save_checkpoint(
        folder / MODEL_FOLDER,
        model,
        replace(job.card, metrics=metrics),
        intervals=intervals,
        training_clips={TRAIN: _hashes(job.train), VALID: _hashes(job.valid)},
    )
    history = {"epoch": result.epoch, "seconds": result.seconds}
    content = history | {"history": [asdict(report) for report in result.history]}
    (folder / HISTORY_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _hashes(clips: Sequence[CachedClip]) -> list[str]:
    return [clip.content_sha256 for clip in clips]
