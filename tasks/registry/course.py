"""The course of a recorded training, read back from MLflow: parameters, curves, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.registry.client import ask, mlflow_client

CURVES = ("train_loss", "learning_rate", "valid_pearson")
"""Metrics with a value an epoch that people read first."""

PICTURES = "plots"


@dataclass(frozen=True)
class Course:
    """The course of one training.

    Attributes:
        parameters: by name, as text; long ones are cut.
        epochs: by epoch, from 1, the values of `CURVES`; None where one is undefined.
    """

    parameters: dict[str, str]
    epochs: dict[int, tuple[float | None, ...]]


def course_of(run_id: str) -> Course:
    """Return the course of a training.

    Args:
        run_id: MLflow's id of its run.

    Raises:
        RegistryError: MLflow has no such run, or does not answer.
    """
    client = mlflow_client()
    run = ask(client.get_run, run_id)
    points = {
        (curve, point.step): point.value
        for curve in CURVES
        if curve in run.data.metrics
        for point in ask(client.get_metric_history, run_id, curve)
    }
    steps = sorted({step for _, step in points})
    return Course(
        dict(sorted(run.data.params.items())),
        {step: tuple(points.get((curve, step)) for curve in CURVES) for step in steps},
    )


def copy_pictures(run_id: str, folder: Path) -> list[Path]:
    """Copy the pictures of a training to a folder, made if absent; return their paths.

    Raises:
        RegistryError: MLflow does not answer.
        OSError: the folder cannot be written.
    """
    client = mlflow_client()
    names = [file.path for file in ask(client.list_artifacts, run_id, PICTURES)]
    if not names:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(ask(client.download_artifacts, run_id, name, str(folder))) for name in names]
