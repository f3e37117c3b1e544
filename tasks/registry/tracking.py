"""What a training tells MLflow: parameters, curves, figures and files of one run."""

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
"""Tag by which a training that goes on finds its run."""

PARAMETERS_FILE = "parameters.json"
MAX_VALUE = 6000
"""Characters of a parameter that MLflow keeps; a tag may have some more."""

EndState = Literal["FINISHED", "FAILED", "KILLED"]

_log = logging.getLogger(__name__)


class TrainingRun:
    """One MLflow run; `start_run` gives one. A process that has its id may make another.

    Attributes:
        run_id: MLflow's id of the run.
    """

    def __init__(self, run_id: str) -> None:
        """Take a run that is there, with what it knows.

        Raises:
            RegistryError: MLflow does not give it.
        """
        self.run_id = run_id
        self._known = _known_values(mlflow_client(), run_id)
        self._waiting: dict[tuple[str, int], Metric] = {}

    def log_params(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters; nested ones get dotted names, long values are cut.

        The file ``parameters.json`` of the run holds them uncut. MLflow lets no parameter change:
        in a run that goes on those that it has keep their first value there.

        Args:
            parameters: by name; what JSON does not know is written as text.

        Raises:
            RegistryError: MLflow does not take them.
        """
        from mlflow.entities import Param

        client = mlflow_client()
        known = ask(client.get_run, self.run_id).data.params
        params = [
            Param(name, _cut(value)) for name, value in _flat(parameters) if name not in known
        ]
        ask(client.log_batch, self.run_id, params=params)
        plain = json.loads(json.dumps(parameters, default=str))
        ask(client.log_dict, self.run_id, plain, PARAMETERS_FILE)

    def log_epoch(self, epoch: int, values: Mapping[str, float | None]) -> None:
        """Record a point of the curves; what the run has of this epoch stays as it is.

        So a training that goes on may tell of its epochs from the first. If MLflow does not answer,
        training is not stopped for it: the point waits for the next call, or for `finish`.

        Args:
            epoch: from 1.
            values: by name of the curve; None or not finite: undefined, left out.
        """
        new = {name: value for name, value in values.items() if (name, epoch) not in self._known}
        self._wait(epoch, new)
        try:
            self._send()
        except RegistryError as error:
            _log.warning("epoch %d waits for the next: %s", epoch, error)

    def log_metrics(self, values: Mapping[str, float | None]) -> None:
        """Record final figures; one that was recorded before is replaced if it differs.

        Args:
            values: by name; None or not finite: undefined, left out.

        Raises:
            RegistryError: MLflow does not take them.
        """
        known = self._known
        self._wait(
            0, {name: value for name, value in values.items() if known.get((name, 0)) != value}
        )
        self._send()

    def log_folder(self, path: Path, folder: str) -> None:
        """Keep a copy of a folder's content with the run, in a folder of it.

        Raises:
            RegistryError: MLflow does not take it.
        """
        ask(mlflow_client().log_artifacts, self.run_id, str(path), folder)

    def finish(self, state: EndState) -> None:
        """Record how the run ended, and what still waits to be sent.

        Raises:
            RegistryError: MLflow does not answer.
        """
        self._send()
        ask(mlflow_client().set_terminated, self.run_id, state)

    def _wait(self, step: int, values: Mapping[str, float | None]) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        for name, value in values.items():
            if value is not None and math.isfinite(value):
                self._waiting[name, step] = Metric(name, float(value), now, step)

    def _send(self) -> None:
        ask(mlflow_client().log_batch, self.run_id, metrics=list(self._waiting.values()))
        self._known |= {key: metric.value for key, metric in self._waiting.items()}
        self._waiting.clear()


def start_run(
    training_id: str, tags: Mapping[str, object], *, experiment: str = EXPERIMENT
) -> TrainingRun:
    """Start the run of a training, or go on with the one it has.

    Args:
        training_id: names the training; the same again goes on in the same run.
        tags: commit, versions, snapshot, split_sha256, recipe and so on; nested ones get dotted
            names, None is left out.
        experiment: of MLflow; made if it is not there.

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
    known = ask(client.get_experiment_by_name, name)
    if known is not None:
        return str(known.experiment_id)
    return str(ask(client.create_experiment, name, artifacts_uri()))


def _known_values(client: MlflowClient, run_id: str) -> dict[tuple[str, int], float]:
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
