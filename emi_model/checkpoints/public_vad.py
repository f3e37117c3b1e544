"""The public VAD model's layout, without its weights: labels, licence, metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from emi_model.architecture.backbones.families import FAMILIES
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
from emi_model.errors import CheckpointError, ConfigError
from emi_model.targets import VAD_DIMENSIONS
from emi_model.units import SAMPLING_RATE

PICKLE_FILE = "pytorch_model.bin"
INDEX_FILES = (f"{WEIGHTS_FILE}.index.json", f"{PICKLE_FILE}.index.json")
"""Of large models whose weights are divided among several files."""

PREPROCESSOR_FILE = "preprocessor_config.json"

PUBLIC_VAD_LICENCES = {
    "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": "CC-BY-NC-SA-4.0",
}
"""Licences of public models, for copies without a README.

Their config.json does not name them: its ``_name_or_path`` is ``torch``.
"""


def vad_metadata(folder: Path, name: str) -> ModelMetadata:
    """Read the metadata of a model in the public VAD model's layout: VAD without EMI.

    Raises:
        CheckpointError: no audio model, labels in another order, or no weights.
    """
    arguments = read_config(folder)
    _check_labels(arguments, folder)
    weights = weights_files(folder)
    if not all((folder / name).is_file() for name in weights):
        raise CheckpointError(
            f"{folder}: holds neither {WEIGHTS_FILE} nor {PICKLE_FILE}: no weights"
        )
    card = ModelCard(
        name=name, targets=(), backbone=name, backbone_licence=licence_of(folder, name)
    )
    with named(folder / CONFIG_FILE):
        config = EmiConfig(backbone=backbone_arguments(folder, arguments), targets=())
    return ModelMetadata(
        config=config,
        card=card,
        sha256=hash_files(folder, decisive_files(config.backbone, *weights)),
    )


def backbone_arguments(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a published model's config with ``do_normalize: false`` where it wants raw waveforms.

    WavLM's base models do. It is in the folder's preprocessor_config.json; without that file
    waveforms are normalised, as the extractor of ``transformers`` does.

    Raises:
        ConfigError: its sampling rate is not 16 kHz.
    """
    found = _preprocessor(folder)
    rate = found.get("sampling_rate", SAMPLING_RATE)
    if rate != SAMPLING_RATE:
        raise ConfigError(f"the model takes audio at {rate} Hz, expected {SAMPLING_RATE}")
    return {**config, **({} if found.get("do_normalize", True) else {"do_normalize": False})}


def decisive_files(arguments: Mapping[str, Any], *weights: str) -> tuple[str, ...]:
    """Return the files of a published model's folder that decide its outputs."""
    raw = not arguments.get("do_normalize", True)
    return (CONFIG_FILE, *weights, *([PREPROCESSOR_FILE] if raw else []))


def _preprocessor(folder: Path) -> dict[str, Any]:
    """Return the settings of a model folder's feature extractor; empty without a file of them."""
    path = folder / PREPROCESSOR_FILE
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def weights_files(folder: Path) -> tuple[str, ...]:
    """Return the names that the files with a model folder's weights have, if there are some.

    Raises:
        CheckpointError: the index of weights that are divided is damaged.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return (WEIGHTS_FILE,)
    for name in INDEX_FILES:
        if (folder / name).is_file():
            return _indexed(folder / name)
    return (PICKLE_FILE,)


def _indexed(path: Path) -> tuple[str, ...]:
    try:
        names = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as an index of weights: {error!r}"
        ) from error
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise CheckpointError(f"{path}: expected it to name files beside it: restore it")
    return tuple(sorted(names))


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

    It is the one in the front matter of its README.md, several joined by AND, or that of the public
    model in `PUBLIC_VAD_LICENCES` whose id is ``name`` or whose name the folder has.
    """
    if found := _licences(_front_matter(folder / README_FILE)):
        return " AND ".join(found)
    named = {name, origin_of(folder), folder.resolve().name}
    for public, licence in PUBLIC_VAD_LICENCES.items():
        if {public, public.rpartition("/")[2]} & named:
            return licence
    return UNKNOWN


def _licences(lines: list[str]) -> list[str]:
    """Return the licences in a front matter: one, or a list of them in a line or below it."""
    keys = [line.partition(":")[0] for line in lines]
    if "license" not in keys:
        return []
    first, *below = lines[keys.index("license") :]
    listed = takewhile(lambda line: line.lstrip().startswith("- "), below)
    values = [
        *first.partition(":")[2].strip(" []").split(","),
        *(line.strip(" -") for line in listed),
    ]
    return [value for each in values if (value := each.strip(" \"'"))]


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
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise CheckpointError(
            f"{folder}: model_type is {kind!r}, expected a checkpoint of this "
            "project or a wav2vec2 model with a VAD head"
        )
    with named(folder / CONFIG_FILE):
        order = labels_of(config)
    if not set(VAD_DIMENSIONS) & set(order):
        raise CheckpointError(
            f"{folder}: is a plain {kind} model, expected one with a head for "
            f"{', '.join(VAD_DIMENSIONS)}: name {next(iter(PUBLIC_VAD_LICENCES))}, a model that "
            "was fine-tuned like it, or a checkpoint of this project"
        )
    if order != VAD_DIMENSIONS:
        raise CheckpointError(
            f"{folder}: its outputs are {', '.join(order)}, expected {', '.join(VAD_DIMENSIONS)} "
            "in this order"
        )
