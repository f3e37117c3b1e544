"""Training on Ray Train: the loop of its workers, and the actor that waits for them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from pyarrow.fs import LocalFileSystem
from ray.exceptions import RayError
from ray.train import (
    Checkpoint,
    CheckpointConfig,
    Result,
    RunConfig,
    ScalingConfig,
    TrainingFailedError,
)
from ray.train.torch import TorchTrainer, get_device

from emi_model.errors import EmiError, TrainingError
from emi_model.training.group import ProcessGroup, SingleProcess
from emi_model.training.state import STATE_FILE
from emi_model.training.trainer import EpochReport, report_from_dict
from tasks.cluster.joined import joins
from tasks.cluster.mailbox import ReportMailbox
from tasks.cluster.nodes import (
    actor_on_this_node,
    address_of,
    ask_nodes,
    driver_node,
    wait_for,
    working_nodes,
)
from tasks.training.job import (
    LOCK_FILE,
    TrainingJob,
    WorkerDied,
    drop_cut_record,
    has_record,
    lasting_failures,
    newest,
    newest_whole,
    own_journal,
    train_job,
)

WATCHER_VARIABLE = "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"
"""By it Ray Train has a process that looks for nodes that are about to be taken away."""

POLL_SECONDS = 0.5


class TrainingOnRay:
    """One attempt at a training, on the Ray cluster of this process."""

    def __init__(self, job: TrainingJob, storage: Path, workers: int) -> None:
        """Keep what to train, the folder of this training, and how many train together."""
        self._work = job, storage.absolute(), workers

    def wait(self, on_epoch: Callable[[EpochReport], None] | None) -> Path:
        """Train, and return the folder that holds the outcome; a signal interrupts this at once.

        Raises:
            TrainingError: training cannot go on.
            WorkerDied: a worker or its node died.
        """
        drop_cut_record(self._work[1])
        driver = actor_on_this_node(TrainingDriver, max_concurrency=DRIVER_CALLS)
        try:
            return self._outcome(driver, on_epoch)
        except RayError as error:
            raise WorkerDied(_first_line(error)) from error
        finally:
            ray.kill(driver)  # what it has started ends with it

    def _outcome(self, driver: Any, on_epoch: Callable[[EpochReport], None] | None) -> Path:
        fitting = driver.fit.remote(*self._work, watches=joins()).future()
        done, failure = False, None
        while not done:
            done = bool(wait([fitting], POLL_SECONDS).done)
            reports, failure = wait_for(driver.take.remote())
            for report in map(report_from_dict, reports):
                if on_epoch is not None:
                    on_epoch(report)
        if failure is not None:
            raise TrainingError(failure)
        folder, death = fitting.result()
        if death is not None:
            raise WorkerDied(death)
        if folder is None:
            raise TrainingError("training ended without a checkpoint: please report this")
        return Path(folder)


DRIVER_CALLS = 2
"""Calls that a driver answers at a time: `fit`, and one that brings or takes reports."""


class TrainingDriver(ReportMailbox):
    """Runs Ray Train, and keeps the reports of its workers: an actor on this process's node.

    Ray ends a process one of whose threads still waits for Ray Train while another leaves Ray, as
    after Ctrl-C; so the thread that waits is in a process of Ray's.
    """

    def fit(
        self, job: TrainingJob, storage: Path, workers: int, *, watches: bool
    ) -> tuple[str | None, str | None]:
        """Train.

        Args:
            job: what to train.
            storage: folder of this training alone, that all workers see.
            workers: processes that train together.
            watches: nodes may be taken away, which a further process then looks for.

        Returns:
            The folder that holds the outcome, if there is one, and what a worker died of, if one
            did.
        """
        if not watches:
            os.environ.setdefault(WATCHER_VARIABLE, "0")
        try:
            result = self._trainer(job, storage, workers).fit()
        except TrainingFailedError as error:
            return None, _first_line(error)
        if result.checkpoint is None:
            return None, None
        return str(local_folder(result.checkpoint)), None

    def _trainer(self, job: TrainingJob, storage: Path, workers: int) -> TorchTrainer:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = int(resources.get("GPU", 0))
        driver = ray.get_runtime_context().current_actor
        return TorchTrainer(
            train_loop,
            train_loop_config={"job": job, "storage": storage, "driver": driver},
            scaling_config=ScalingConfig(
                num_workers=workers,
                use_gpu=gpus >= workers,
                resources_per_worker={"CPU": 1 if gpus else job.threads},
            ),
            run_config=RunConfig(
                name=storage.name,
                storage_path=str(storage.parent),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
            ),
        )


def local_folder(checkpoint: Checkpoint) -> Path:
    """Return the folder of a checkpoint on this machine, fetched if it lies elsewhere."""
    if isinstance(checkpoint.filesystem, LocalFileSystem):
        return Path(checkpoint.path)
    return Path(checkpoint.to_directory())


def last_state_of_ray(storage: Path) -> Path | None:
    """Return the file of the last state that Ray Train kept in a training's folder, if any.

    Where its record is missing or cut, that is the newest state that was written whole.
    """
    if not has_record(storage):
        return newest_whole(storage)
    checkpoint = Result.from_path(str(storage)).checkpoint
    return None if checkpoint is None else local_folder(checkpoint) / STATE_FILE


class RayJournal:
    """The state of a training among the checkpoints of its Ray Train run."""

    def __init__(self, storage: Path, rank: int) -> None:
        """Make a scratch folder; only the worker of rank 0 writes states.

        Args:
            storage: folder of the training, which may have begun without Ray.
            rank: of this worker.
        """
        self._own, self._rank = own_journal(storage), rank
        self._scratch = Path(tempfile.mkdtemp(prefix="emi-training-"))

    def last(self) -> Path | None:
        """Return the file of the last state, fetched if the run keeps it elsewhere."""
        checkpoint = ray.train.get_checkpoint()
        kept = None if checkpoint is None else local_folder(checkpoint) / STATE_FILE
        return newest(kept, self._own.last())

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
        settings: ``job``, a `TrainingJob`; ``storage``, its folder; and ``driver``, a handle of the
            `TrainingDriver`.
    """
    job: TrainingJob = settings["job"]
    driver: Any = settings["driver"]
    context = ray.train.get_context()
    torch.set_num_threads(job.threads)
    group = ProcessGroup() if context.get_world_size() > 1 else SingleProcess()
    journal = RayJournal(settings["storage"], group.rank)

    def send(report: EpochReport) -> None:
        if group.rank == 0:
            ray.get(driver.report.remote(asdict(report)))

    try:
        with lasting_failures(job.recipe.train, settings["storage"]):
            fitted = train_job(job, journal, device=str(get_device()), group=group, on_epoch=send)
            folder = Path(tempfile.mkdtemp(prefix="emi-model-"))
            if group.rank == 0:
                fitted.write(folder)
                state = journal.last()
                if state is not None:  # with it a repeated run finds that training is done
                    shutil.copy(state, folder / STATE_FILE)
            journal.report({"epoch": fitted.result.epoch, "done": True}, folder)
    except EmiError as error:
        ray.get(driver.fail.remote(str(error)))
        raise
    finally:
        journal.close()


def check_shared(storage: Path, *models: str | None) -> None:
    """Check that all nodes that may train see a training's folder and the models it starts from.

    The audio cache lies beside the folder, in ``EMI_HOME``, so it is seen too.

    Args:
        storage: the folder.
        models: folders of models; None: there is none.

    Raises:
        TrainingError: a node does not see one of them.
    """
    nodes = working_nodes()
    if not nodes.keys() - {driver_node()}:
        return
    expected = [str(storage.absolute() / LOCK_FILE), *filter(None, models)]

    def missing_there() -> list[str]:
        from pathlib import Path

        return [path for path in expected if not Path(path).exists()]

    for name, missing in ask_nodes(missing_there, nodes.keys()).items():
        if isinstance(missing, list) and missing:
            raise TrainingError(
                f"node {address_of(nodes[name])}: does not see {missing[0]}: let EMI_HOME and the "
                "model to begin with be folders that all nodes of the cluster share"
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
