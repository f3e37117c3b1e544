"""What a training does in each of its processes, and what it leaves: no Ray is needed for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from zipfile import is_zipfile

import numpy as np

from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.checkpoints.pretrained import load_backbone
from emi_model.errors import TrainingError
from emi_model.metrics.conformal import calibrate
from emi_model.predict import is_out_of_memory
from emi_model.training.config import TrainConfig
from emi_model.training.first_weights import from_backbone, from_model, from_scratch
from emi_model.training.fit import FitResult, fit
from emi_model.training.group import SingleProcess
from emi_model.training.recipes import Recipe
from emi_model.training.state import DISK_FULL, STATE_FILE, FolderJournal, Journal, writing
from emi_model.training.trainer import EpochReport
from emi_model.training.validate import predict_clips
from tasks.evaluation.encoded_clips import with_encoded
from tasks.labels.labelled_clips import CachedClip
from tasks.labels.splits import TRAIN, VALID

MODEL_FOLDER = "model"
HISTORY_FILE = "history.json"
PREDICTIONS_FILE = "valid_predictions.npy"

LOCK_FILE = ".lock"
"""In a training's folder; locked by the one process that is at it."""

CHECKPOINTS = "checkpoint_*"
"""Folders of states: Ray Train names them by time, a training without Ray has `OWN_CHECKPOINT`."""

OWN_CHECKPOINT = "checkpoint_here"

RECORD_FILE = "checkpoint_manager_snapshot.json"
"""Where Ray Train records the checkpoints that it keeps; it writes over the file in place."""


class WorkerDied(Exception):
    """A process of a training ended before its work was done; the message says how."""


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


@dataclass(frozen=True)
class FittedJob:
    """A model that was trained.

    Attributes:
        job: its clips have what frozen encoders made of them.
        model: with the weights to keep.
        result: of the training.
    """

    job: TrainingJob
    model: EmiModel
    result: FitResult

    def write(self, folder: Path) -> None:
        """Write the checkpoint, calibrated on the validation clips, history and predictions.

        Raises:
            EmiError: a clip does not fit into memory, or a file cannot be written.
        """
        job, model, result = self.job, self.model, self.result
        predictions = predict_clips(model, job.valid) if job.valid else None
        intervals, metrics = None, {}
        if predictions is not None:
            truth = np.stack([clip.emi for clip in job.valid])
            intervals = calibrate(predictions, truth, job.targets, split_sha256=job.split_sha256)
            kept = result.history[result.epoch - 1]
            metrics = (
                {"valid_pearson": kept.valid_pearson} if kept.valid_pearson is not None else {}
            )
        history = {"epoch": result.epoch, "seconds": result.seconds}
        content = history | {"history": [asdict(report) for report in result.history]}
        text = json.dumps(content, indent=1) + "\n"
        with writing("model", folder):
            if predictions is not None:
                np.save(folder / PREDICTIONS_FILE, predictions)
            save_checkpoint(
                folder / MODEL_FOLDER,
                model,
                replace(job.card, metrics=metrics),
                intervals=intervals,
                training_clips={TRAIN: _hashes(job.train), VALID: _hashes(job.valid)},
            )
            (folder / HISTORY_FILE).write_text(text, encoding="utf-8")


@contextmanager
def lasting_failures(config: TrainConfig, folder: Path) -> Iterator[None]:
    """Name the remedy of failures that each further attempt at a training would meet again.

    Args:
        config: of the training.
        folder: that it writes to.

    Raises:
        TrainingError: memory does not suffice, or a disk is full.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        line = str(error).strip().partition("\n")[0]
        cause = line.partition(". GPU ")[0].rpartition("Allocator: ")[2]
        size, seconds = config.batch_size, config.crop_seconds or 10
        lower = f"batch_size={size // 2}" if size > 1 else f"crop_seconds={seconds / 2:g}"
        raise TrainingError(
            f"memory does not suffice for the recipe's batch_size of {size}"
            f"{cause and f' ({cause})'}: lower that or crop_seconds, as `emi train --set {lower}`"
        ) from error
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        with writing("training", Path(str(error.filename or folder))):
            raise


def train_job(
    job: TrainingJob,
    journal: Journal,
    *,
    device: str,
    group: SingleProcess,
    on_epoch: Callable[[EpochReport], None],
) -> FittedJob:
    """Train, from the last state in a journal on.

    Args:
        job: what to train.
        journal: of this training.
        device: to train on.
        group: the processes that train together.
        on_epoch: called after every epoch, in each of them; also after those of folds.

    Raises:
        EmiError: the model or a clip cannot be read, or a loss is not finite.
    """
    model = job.first_model()
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
        on_epoch=on_epoch,
        on_fold=on_epoch,
        device=device,
        group=group,
        journal=journal,
    )
    return FittedJob(job, model, result)


def own_journal(storage: Path) -> FolderJournal:
    """Return where a training without Ray keeps its state, below its folder."""
    return FolderJournal(storage / OWN_CHECKPOINT)


def newest(*states: Path | None) -> Path | None:
    """Return the file that was written last: a training may go on with or without Ray."""
    found = [state for state in states if state is not None]
    return max(found, key=lambda state: state.stat().st_mtime_ns, default=None)


def newest_whole(storage: Path) -> Path | None:
    """Return the newest state in a training's folder that was written to its end, if any."""
    return newest(*filter(is_zipfile, storage.glob(f"{CHECKPOINTS}/{STATE_FILE}")))


def has_record(storage: Path) -> bool:
    """Return whether Ray Train has recorded its checkpoints in a training's folder."""
    try:
        json.loads((storage / RECORD_FILE).read_bytes())
    except (FileNotFoundError, ValueError):  # a full disk, or a kill, leaves it cut
        return False
    return True


def drop_cut_record(storage: Path) -> None:
    """Let a training go on whose record is cut, on which Ray Train does not start.

    The last state goes to where a training without Ray keeps its own, and Ray Train begins anew.
    """
    record, own = storage / RECORD_FILE, storage / OWN_CHECKPOINT
    if not record.exists() or has_record(storage):
        return
    state = newest_whole(storage)
    if state is not None:
        own.mkdir(exist_ok=True)
        state.replace(own / STATE_FILE)
    record.unlink()
    for folder in set(storage.glob(CHECKPOINTS)) - {own}:
        shutil.rmtree(folder)


def _hashes(clips: Sequence[CachedClip]) -> list[str]:
    return [clip.content_sha256 for clip in clips]
