"""Trains a model on labels, as a Prefect flow."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.exclusive import exclusive
from flows.server import run_names
from flows.server.artifacts import show_version
from flows.server.run_log import stage
from tasks.registry.version import MODEL
from tasks.training.new_version import summary, train_version


@flow(name="train", flow_run_name=run_names.trained, validate_parameters=True, persist_result=False)
@exclusive
def train_model(
    labels: str,
    corpus: str,
    recipe: str = "paper",
    name: str = MODEL,
    snapshot: str | None = None,
    backbone: str | None = None,
    workers: Annotated[int | None, Field(ge=1)] = None,
    ray_address: str | None = None,
    asr: str | None = None,
    language: str | None = None,
    features: list[str] | None = None,
) -> dict[str, Any]:
    """Train a model on labelled clips and register it; the champion stays as it is.

    Args:
        labels: results store with the labels.
        corpus: folder, file or manifest with the clips.
        recipe: name of a recipe, with variants, as in ``paper_small+ccc``.
        name: registered model that gets a new version.
        snapshot: label snapshot, by number or id; default: the latest.
        backbone: model folder or hub id to start from in place of the recipe's own.
        workers: processes that train together; default: one, or one a GPU of one machine.
        ray_address: Ray cluster to train on, ``HOST:PORT``, whose nodes share ``EMI_HOME``;
            default: ``RAY_ADDRESS``, else this machine, where only several workers need Ray.
        asr: ASR model that writes the text, for a model that reads; default: ``EMI_ASR``.
        language: of the speech, as ``en``; default: detected in each clip.
        features: that other programs computed, ``NAME=PATH``; each becomes a branch.

    Returns:
        The version's row, with its folder and its numbers of clips.

    Raises:
        ConfigError: no such recipe.
        LabelError: no labels, or no clips of a split.
        CheckpointError: the backbone cannot be loaded.
        TrainingError: training cannot go on.
        ClusterError: the cluster cannot be joined.
        RegistryError: MLflow does not answer.
    """
    made, audio = stage(
        "train",
        train_version,
        labels,
        corpus,
        recipe=recipe,
        name=name,
        snapshot=snapshot,
        backbone=backbone,
        workers=workers,
        ray_address=ray_address,
        asr=asr,
        language=language,
        features=features or (),
    )
    show_version(made)
    return summary(made, audio)
