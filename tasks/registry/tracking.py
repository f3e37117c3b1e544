"""A training's record in MLflow: parameters, curves, figures and files of one run."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from emi_model.errors import RegistryError
from tasks.registry.client import artifacts_uri, ask, locked, mlflow_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

EXPERIMENT = "emi-training"
TRAINING_ID = "training_id"
"""Tag by which a training that was stopped finds its run again."""

PARAMETERS_FILE = "parameters.json"
MAX_VALUE = 6000
"""Characters of a parameter's value that MLflow keeps; a tag may be slightly longer."""

EndState = Literal["FINISHED", "FAILED", "KILLED"]

_log = logging.getLogger(__name__)


class TrainingRun:
    """One MLflow run, as `start_run` returns it; another process can open it by its id.

    Attributes:
        run_id: MLflow's id of the run.
    """

    def __init__(self, run_id: str) -> None:
        """Open an existing run, and read the metrics that it has.

        Raises:
            RegistryError: MLflow has no such run, or does not answer.
        """
        self.run_id = run_id
        self._recorded = _recorded_values(mlflow_client(), run_id)
        self._waiting: dict[tuple[str, int], Metric] = {}

    def log_params(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters; nested ones get dotted names, long values are cut.

        The run's file ``parameters.json`` holds them uncut. MLflow lets no parameter change: one
        that a continued run has already keeps its first value there.

        Args:
            parameters: by name; values that JSON cannot hold are written as text.

        Raises:
            RegistryError: MLflow does not take them.
        """
        from mlflow.entities import Param

        client = mlflow_client()
        old = ask(client.get_run, self.run_id).data.params
        params = [Param(name, _cut(value)) for name, value in _flat(parameters) if name not in old]
        ask(client.log_batch, self.run_id, params=params)
        plain = json.loads(json.dumps(parameters, default=str))
        ask(client.log_dict, self.run_id, plain, PARAMETERS_FILE)

    def log_epoch(self, epoch: int, values: Mapping[str, float | None]) -> None:
        """Record a point of each curve, unless the run has one of this epoch.

        So a continued training may record its epochs from the first on. If MLflow does not answer,
        training goes on: the point is sent by the next call, or by `finish`.

        Args:
            epoch: from 1.
            values: by name of the curve; None or not finite: undefined, left out.
        """
        new = {name: value for name, value in values.items() if (name, epoch) not in self._recorded}
        self._queue(epoch, new)
        try:
            self._send()
        except RegistryError as error:
            _log.warning("epoch %d waits for the next: %s", epoch, error)

    def log_metrics(self, values: Mapping[str, float | None]) -> None:
        """Record final figures; one that the run has already is replaced if it differs.

        Args:
            values: by name; None or not finite: undefined, left out.

        Raises:
            RegistryError: MLflow does not take them.
        """
        old = self._recorded
        self._queue(
            0, {name: value for name, value in values.items() if old.get((name, 0)) != value}
        )
        self._send()

    def log_folder(self, path: Path, folder: str) -> None:
        """Copy a folder's content to a folder of the run's files.

        Raises:
            RegistryError: MLflow does not take it.
        """
        ask(mlflow_client().log_artifacts, self.run_id, str(path), folder)

    def finish(self, state: EndState) -> None:
        """Send the points that were not sent yet, and record how the run ended.

        Raises:
            RegistryError: MLflow does not answer.
        """
        self._send()
        ask(mlflow_client().set_terminated, self.run_id, state)

    def _queue(self, step: int, values: Mapping[str, float | None]) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        for name, value in values.items():
            if value is not None and math.isfinite(value):
                self._waiting[name, step] = Metric(name, float(value), now, step)

    def _send(self) -> None:
        ask(mlflow_client().log_batch, self.run_id, metrics=list(self._waiting.values()))
        self._recorded |= {key: metric.value for key, metric in self._waiting.items()}
        self._waiting.clear()


def start_run(
    training_id: str, tags: Mapping[str, object], *, experiment: str = EXPERIMENT
) -> TrainingRun:
    """Start the run of a training, or continue the run that it has already.

    Args:
        training_id: names the training; a second call with the same id continues its run.
        tags: commit, versions, snapshot, split_sha256, recipe and so on; nested ones get dotted
            names, None is left out.
        experiment: MLflow's, created if there is none of that name.

    Raises:
        RegistryError: MLflow does not answer, or refuses.
    """
    client = mlflow_client()
    plain = {
        name: _cut(value)
        for name, value in _flat({**tags, TRAINING_ID: training_id})
        if value is not None
    }
    with locked():
        experiment_id = _experiment_id(client, experiment)
        wanted = f"tags.{TRAINING_ID} = '{training_id}'"
        found = ask(client.search_runs, [experiment_id], wanted, max_results=1)
        if not found:
            run = ask(client.create_run, experiment_id, tags=plain, run_name=training_id)
            return TrainingRun(run.info.run_id)
    run_id = found[0].info.run_id
    ask(client.update_run, run_id, status="RUNNING")
    for name, value in plain.items():
        ask(client.set_tag, run_id, name, value)
    return TrainingRun(run_id)


def _experiment_id(client: MlflowClient, name: str) -> str:
    found = ask(client.get_experiment_by_name, name)
    if found is not None:
        return str(found.experiment_id)
    return str(ask(client.create_experiment, name, artifacts_uri()))


def _recorded_values(client: MlflowClient, run_id: str) -> dict[tuple[str, int], float]:
    """Return the values of a run's metrics by name and step, the latest where there are several."""
    names = ask(client.get_run, run_id).data.metrics
    points = [point for name in names for point in ask(client.get_metric_history, run_id, name)]
    points.sort(key=lambda point: point.timestamp)
    return {(point.key, point.step): point.value for point in points}


def _flat(parameters: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 3] + "..."
