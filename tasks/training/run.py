"""Training on Ray: workers train, report epochs and are replaced if they die; gives a model."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError
from ray.train import CheckpointConfig, Result, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer

from emi_model.checkpoints.encoders import references_of
from emi_model.errors import TrainingError
from emi_model.training.trainer import EpochReport, report_from_dict
from tasks.cluster.connection import joins
from tasks.cluster.mailbox import ReportMailbox
from tasks.cluster.nodes import (
    actor_on_this_node,
    address_of,
    ask_nodes,
    driver_node,
    wait_for,
    working_nodes,
)
from tasks.storage.locks import LockHeld, file_lock
from tasks.training.worker import (
    HISTORY_FILE,
    MODEL_FOLDER,
    PREDICTIONS_FILE,
    TrainingJob,
    local_folder,
    train_loop,
)

MAX_DEATHS = 2
"""Training is given up once workers died more often than this without a new epoch between."""

WATCHER_VARIABLE = "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"
"""By it Ray Train has a process that looks for nodes that are about to be taken away."""

POLL_SECONDS = 0.5
LOCK_FILE = ".lock"


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


def train(
    job: TrainingJob,
    storage: Path,
    *,
    workers: int = 1,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> Trained:
    """Train on the Ray cluster of this process; a training that was stopped continues.

    Args:
        job: what to train.
        storage: folder of this training alone, on storage that all workers see; its state is
            written there after every epoch, and read when it continues.
        workers: processes that train together; each uses a GPU if there are any.
        on_epoch: called after every epoch, in this process.

    Raises:
        TrainingError: the loss is not finite, workers die again and again, another process runs
            this training, or a node of the cluster does not see its files.
    """
    if not joins():
        os.environ.setdefault(WATCHER_VARIABLE, "0")  # nobody takes this machine away
    with alone_at(storage):
        check_shared(storage, job.start, *references_of(job.recipe.model).values())
        done, deaths = -1, 0
        while True:
            watcher = actor_on_this_node(ReportMailbox)
            attempt = _Attempt(job, storage, workers, watcher)
            try:
                return _outcome(attempt.wait(on_epoch))
            except (RayError, TrainingFailedError) as error:
                deaths = 1 if attempt.last_epoch > done else deaths + 1
                done = max(done, attempt.last_epoch)
                if deaths > MAX_DEATHS:
                    cause = str(error).strip().partition("\n")[0]
                    raise TrainingError(
                        f"workers died {deaths} times in a row: {cause}: what was trained stays, "
                        "the same command goes on from there"
                    ) from error
            finally:
                ray.kill(watcher)


class _Attempt:
    """One Ray Train run in a thread of its own; Ctrl-C interrupts the wait for it.

    Attributes:
        last_epoch: number of the last epoch that it reported; 0 before the first.
    """

    def __init__(self, job: TrainingJob, storage: Path, workers: int, watcher: Any) -> None:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = int(resources.get("GPU", 0))
        self._trainer = TorchTrainer(
            train_loop,
            train_loop_config={"job": job, "watcher": watcher},
            scaling_config=ScalingConfig(
                num_workers=workers,
                use_gpu=gpus >= workers,
                resources_per_worker={"CPU": 1 if gpus else job.threads},
            ),
            run_config=RunConfig(
                name=storage.name,
                storage_path=str(storage.parent.absolute()),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
            ),
        )
        self._watcher = watcher
        self._result: Result | None = None
        self._error: Exception | None = None
        self.last_epoch = 0

    def wait(self, on_epoch: Callable[[EpochReport], None] | None) -> Result:
        # Not in the main thread: there Ray Train would handle Ctrl-C itself.
        runner = threading.Thread(target=self._run, daemon=True)
        runner.start()
        failure = None
        while runner.is_alive():
            runner.join(POLL_SECONDS)
            reports, failure = wait_for(self._watcher.take.remote())
            for report in map(report_from_dict, reports):
                self.last_epoch = report.epoch
                if on_epoch is not None:
                    on_epoch(report)
        if failure is not None:
            raise TrainingError(failure)
        if self._error is not None:
            raise self._error
        assert self._result is not None, "the thread leaves a result or an error"
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._trainer.fit()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error


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


def check_shared(storage: Path, *models: str | None) -> None:
    """Check that all nodes that may train see a training's folder and the models it starts from.

    The audio cache lies beside the folder, in ``EMI_HOME``, so it is seen too.

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


def _outcome(result: Result) -> Trained:
    if result.checkpoint is None:
        raise TrainingError("training ended without a checkpoint: please report this")
    folder = local_folder(result.checkpoint)
    content = json.loads((folder / HISTORY_FILE).read_text(encoding="utf-8"))
    predictions = folder / PREDICTIONS_FILE
    return Trained(
        model=folder / MODEL_FOLDER,
        epoch=content["epoch"],
        history=tuple(map(report_from_dict, content["history"])),
        seconds=content["seconds"],
        predictions=np.load(predictions) if predictions.is_file() else None,
    )
