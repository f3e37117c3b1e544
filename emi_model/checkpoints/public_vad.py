"""The public VAD model's layout, without its weights: labels, licence, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emi_model.architecture.config import EmiConfig
from emi_model.checkpoints.card import UNKNOWN, ModelCard
from emi_model.checkpoints.metadata import (
    CONFIG_FILE,
    README_FILE,
    WEIGHTS_FILE,
    ModelMetadata,
    hash_files,
    named,
    read_config,
)
from emi_model.errors import CheckpointError
from emi_model.targets import VAD_DIMENSIONS

PICKLE_FILE = "pytorch_model.bin"

PUBLIC_VAD_LICENCES = {
    "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": "CC-BY-NC-SA-4.0",
}
"""Licences of public models, for copies without a README.

Their config.json does not name them: its ``_name_or_path`` is ``torch``.
"""


def vad_metadata(folder: Path, name: str) -> ModelMetadata:
    """Read the metadata of a model in the public VAD model's layout: VAD without EMI.

    Raises:
        CheckpointError: no wav2vec2 model, labels in another order, or no weights.
    """
    arguments = read_config(folder)
    _check_labels(arguments, folder)
    weights = weights_file(folder)
    if not (folder / weights).is_file():
        raise CheckpointError(
            f"{folder}: holds neither {WEIGHTS_FILE} nor {PICKLE_FILE}: no weights"
        )
    card = ModelCard(
        name=name, targets=(), backbone=name, backbone_licence=licence_of(folder, name)
    )
    with named(folder / CONFIG_FILE):
        config = EmiConfig(backbone=arguments, targets=())
    return ModelMetadata(
        config=config,
        card=card,
        sha256=hash_files(folder, (CONFIG_FILE, weights)),
    )


def weights_file(folder: Path) -> str:
    """Return the name that a model folder's weights file has, if there is one."""
    return WEIGHTS_FILE if (folder / WEIGHTS_FILE).is_file() else PICKLE_FILE


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels in a config.json, lower case, in the order of their numbers."""
    named_by = config.get("id2label") or {}
    try:
        labels = {int(key): str(label) for key, label in named_by.items()}
    except (AttributeError, ValueError) as error:
        raise CheckpointError(
            f"id2label is {named_by!r}, expected names by their numbers: restore {CONFIG_FILE}"
        ) from error
    return tuple(labels[key].lower() for key in sorted(labels))


def licence_of(folder: Path, name: str = "") -> str:
    """Return the licence of a model folder's weights, or ``unknown``.

    It is the one in the front matter of its README.md, or that of the public model in
    `PUBLIC_VAD_LICENCES` whose id is ``name`` or whose name the folder has.
    """
    for line in _front_matter(folder / README_FILE):
        key, _, value = line.partition(":")
        if key == "license":
            return value.strip().strip("\"'")
    named = {name, origin_of(folder), folder.resolve().name}
    for public, licence in PUBLIC_VAD_LICENCES.items():
        if {public, public.rpartition("/")[2]} & named:
            return licence
    return UNKNOWN


def _front_matter(readme: Path) -> list[str]:
    """Return the lines between the two ``---`` at a README's top."""
    if not readme.is_file():
        return []
    first, *lines = readme.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    return lines[: lines.index("---")] if first == "---" and "---" in lines else []


def origin_of(folder: Path) -> str:
    """Return the hub id in a model folder's config, or the folder's name."""
    named = str(read_config(folder).get("_name_or_path"))
    return named if named.count("/") == 1 else folder.resolve().name


def _check_labels(config: Mapping[str, Any], folder: Path) -> None:
    if config.get("model_type") != "wav2vec2":
        raise CheckpointError(
            f"{folder}: model_type is {config.get('model_type')!r}, expected a checkpoint of this "
            "project or a wav2vec2 model with a VAD head"
        )
    with named(folder / CONFIG_FILE):
        order = labels_of(config)
    if not set(VAD_DIMENSIONS) & set(order):
        raise CheckpointError(
            f"{folder}: is a plain wav2vec2 model, expected one with a head for "
            f"{', '.join(VAD_DIMENSIONS)}: name {next(iter(PUBLIC_VAD_LICENCES))}, a model that "
            "was fine-tuned like it, or a checkpoint of this project"
        )
    if order != VAD_DIMENSIONS:
        raise CheckpointError(
            f"{folder}: its outputs are {', '.join(order)}, expected {', '.join(VAD_DIMENSIONS)} "
            "in this order"
        )
