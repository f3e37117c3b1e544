"""Training: here or on Ray; workers that die are replaced; gives a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emi_model.checkpoints.encoders import references_of
from emi_model.devices import available_cores
from emi_model.errors import TrainingError
from emi_model.training.trainer import EpochReport, report_from_dict
from tasks.storage.locks import LockHeld, file_lock
from tasks.training.here import TrainingHere, last_kept, needs_no_ray
from tasks.training.job import (
    HISTORY_FILE,
    LOCK_FILE,
    MODEL_FOLDER,
    PREDICTIONS_FILE,
    TrainingJob,
    WorkerDied,
)

MAX_DEATHS = 2
"""Training is given up once workers died more often than this without a new state between."""


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Attributes:
        model: folder of the checkpoint.
        epoch: whose weights it holds.
        history: one report an epoch.
        seconds: that the epochs of all attempts took.
        predictions: (validation clips, targets), clipped to [0, 1]; None without such clips.
    """

    model: Path
    epoch: int
    history: tuple[EpochReport, ...]
    seconds: float
    predictions: NDArray[np.float32] | None


class Attempt(Protocol):
    """One attempt at a training, which goes on from the last epoch of the one before."""

    def wait(self, on_epoch: Callable[[EpochReport], None] | None) -> Path:
        """Train, and return the folder that holds the outcome.

        Raises:
            TrainingError: training cannot go on.
            WorkerDied: a worker ended before its work was done.
        """


def train(
    job: TrainingJob,
    storage: Path,
    *,
    workers: int = 1,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> Trained:
    """Train; a training that was stopped continues. The caller is `alone_at` the training's folder.

    One worker on this machine is a child process. More of them, those of a cluster that is joined,
    and one of several GPUs are Ray Train's, on the Ray cluster of this process or on Ray that is
    started here.

    Args:
        job: what to train.
        storage: folder of this training alone, on storage that all workers see; its state is
            written there after every epoch, and read when it continues.
        workers: processes that train together; each uses a GPU if there are any.
        on_epoch: called after every epoch, in this process.

    Raises:
        TrainingError: the loss is not finite, memory or a disk does not suffice, workers die again
            and again, or a node of the cluster does not see its files.
        ClusterError: Ray does not start, or its cluster cannot be joined.
    """

    def kept() -> object:
        return last_kept(storage)

    if needs_no_ray(workers):
        return _outcome(_done(lambda: TrainingHere(job, storage), kept, on_epoch))
    from tasks.cluster.connection import ray_cluster
    from tasks.training.on_ray import TrainingOnRay, check_shared

    with ray_cluster(available_cores()):
        check_shared(storage, job.start, *references_of(job.recipe.model).values())
        return _outcome(_done(lambda: TrainingOnRay(job, storage, workers), kept, on_epoch))


@contextmanager
def alone_at(storage: Path) -> Iterator[None]:
    """Lock a training's folder, made if it is absent, for this process alone.

    Raises:
        TrainingError: another process has locked it.
    """
    storage.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(storage / LOCK_FILE, wait=False))
        except LockHeld as error:
            raise TrainingError(
                f"{storage}: another process is at this training{error.who}: wait for it"
            ) from error
        yield


def _done(
    begin: Callable[[], Attempt],
    kept: Callable[[], object],
    on_epoch: Callable[[EpochReport], None] | None,
) -> Path:
    """Return the folder that holds the outcome of as many attempts as it takes.

    Args:
        begin: returns an attempt.
        kept: returns what tells the last state from those before; a new one is progress.
        on_epoch: called after every epoch.
    """
    deaths = 0
    while True:
        before = kept()
        try:
            return begin().wait(on_epoch)
        except WorkerDied as death:
            deaths = 1 if kept() != before else deaths + 1
            if deaths > MAX_DEATHS:
                raise TrainingError(
                    f"workers died {deaths} times in a row: {death}: what was trained stays, "
                    "the same command goes on from there"
                ) from death


def _outcome(folder: Path) -> Trained:
    content = json.loads((folder / HISTORY_FILE).read_text(encoding="utf-8"))
    predictions = folder / PREDICTIONS_FILE
    return Trained(
        model=folder / MODEL_FOLDER,
        epoch=content["epoch"],
        history=tuple(map(report_from_dict, content["history"])),
        seconds=content["seconds"],
        predictions=np.load(predictions) if predictions.is_file() else None,
    )
