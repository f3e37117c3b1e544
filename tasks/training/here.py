"""Training by one worker without Ray: in a child process, which starts within a few seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from emi_model.devices import available_gpus
from emi_model.errors import EmiError, TrainingError
from emi_model.training.group import SingleProcess
from emi_model.training.state import FolderJournal
from emi_model.training.trainer import EpochReport, report_from_dict
from tasks.cluster.budget import ScorerPool
from tasks.processes.own_child import Send, own_child
from tasks.scoring.stages.in_process import most_here
from tasks.training.job import (
    CHECKPOINTS,
    OWN_CHECKPOINT,
    TrainingJob,
    WorkerDied,
    lasting_failures,
    newest,
    train_job,
)

EPOCH, FAILED, DIED, DONE = "epoch", "failed", "died", "done"
"""Kinds of messages of the child process."""


def needs_no_ray(workers: int) -> bool:
    """Return whether a training runs without Ray: of one worker, on one machine of at most one GPU.

    ``EMI_FEW_CLIPS=0`` has Ray do all work, this too.

    Raises:
        ConfigError: ``EMI_FEW_CLIPS`` is no whole number.
    """
    return workers == 1 and most_here(ScorerPool()) > 0 and available_gpus() <= 1


class TrainingHere:
    """One attempt at a training, in a child process that dies with this one."""

    def __init__(self, job: TrainingJob, storage: Path) -> None:
        """Keep what to train, and the folder of this training."""
        self._work, self._threads = (job, storage.absolute()), job.threads

    def wait(self, on_epoch: Callable[[EpochReport], None] | None) -> Path:
        """Train, and return the folder that holds the outcome; a signal interrupts this at once.

        Raises:
            TrainingError: training cannot go on.
            WorkerDied: the process ended before its work was done.
        """
        died = None
        with own_child(train_in_child, self._work, threads=self._threads) as child:
            for kind, content in child.messages():
                if kind == DONE:
                    return Path(content)
                if kind == FAILED:
                    raise TrainingError(content)
                if kind == DIED:
                    died = content
                    continue
                if on_epoch is not None:
                    on_epoch(report_from_dict(content))
            raise WorkerDied(died or child.how_it_ended())


class HereJournal(FolderJournal):
    """The state of a training without Ray, which may go on from one that Ray Train kept."""

    def __init__(self, storage: Path) -> None:
        """Take the folder of a training."""
        super().__init__(storage / OWN_CHECKPOINT)
        self._storage = storage

    def last(self) -> Path | None:
        """Return the file that was kept last, by Ray Train or without it; None at the start."""
        return newest(super().last(), self._last_of_ray())

    def _last_of_ray(self) -> Path | None:
        if all(path.name == OWN_CHECKPOINT for path in self._storage.glob(CHECKPOINTS)):
            return None
        from tasks.training.on_ray import last_state_of_ray

        return last_state_of_ray(self._storage)


def last_kept(storage: Path) -> tuple[Path, int] | None:
    """Return what tells the last state of a training from those before; None at the start."""
    state = HereJournal(storage).last()
    return None if state is None else (state, state.stat().st_mtime_ns)


def train_in_child(work: tuple[TrainingJob, Path], send: Send) -> None:
    """Train, and send messages of a kind and a content; the child process runs this.

    Args:
        work: what to train, and the folder of this training alone.
        send: sends a message.
    """
    job, storage = work
    torch.set_num_threads(job.threads)
    try:
        with lasting_failures(job.recipe.train, storage):
            fitted = train_job(
                job,
                HereJournal(storage),
                device="cuda" if available_gpus() else "cpu",
                group=SingleProcess(),
                on_epoch=lambda report: send((EPOCH, asdict(report))),
            )
            fitted.write(storage / OWN_CHECKPOINT)
    except EmiError as error:
        send((FAILED, str(error)))
        raise
    except Exception as error:
        send((DIED, f"{type(error).__name__}: {error}".partition("\n")[0]))
        raise
    send((DONE, str(storage / OWN_CHECKPOINT)))
