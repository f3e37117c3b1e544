"""Other people's layouts of the same weights, translated to ours.

| theirs | ours |
|---|---|
| the public VAD model: ``wav2vec2.*`` | ``backbone.wav2vec2.*`` |
| ``classifier.{dense,out_proj}.*`` | ``vad_head.*`` |
| the authors' state dict: the same below ``audio_model.`` | the same |
| ``lstm_audio.*`` | ``fusion.lstm.*`` |
| ``fusion_model.{0,2}.*`` | ``fusion.layers.{0,2}.*`` |
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emi_model.card import UNKNOWN, ModelCard
from emi_model.checkpoint import (
    CONFIG_FILE,
    README_FILE,
    WEIGHTS_FILE,
    LoadedModel,
    build,
    hash_files,
    read_config,
    read_safetensors,
)
from emi_model.config import EmiConfig
from emi_model.errors import CheckpointError
from emi_model.model import EmiModel
from emi_model.targets import VAD_DIMENSIONS

PICKLE_FILE = "pytorch_model.bin"

PUBLIC_VAD_LICENCES = {
    "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": "CC-BY-NC-SA-4.0",
}
"""Licences of known public models, for copies whose README was left behind.

Their own config.json does not name them: its ``_name_or_path`` is ``torch``.
"""

AUTHORS_PREFIX = "audio_model."

DAMAGED = (
    *(OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError),
    *(LookupError, TypeError, AttributeError, AssertionError, struct.error),
)
"""What torch raises on a file that is no state dict, or one of which some bytes differ."""

_OURS = {
    "wav2vec2.": "backbone.wav2vec2.",
    "classifier.": "vad_head.",
    "lstm_audio.": "fusion.lstm.",
    "fusion_model.": "fusion.layers.",
}

_POSITIONAL = {
    "pos_conv_embed.conv.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
    "pos_conv_embed.conv.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
}
"""The two spellings of the positional convolution's weight norm, old to new."""


def load_vad_model(folder: Path, name: str) -> LoadedModel:
    """Load a model in the public VAD model's layout: VAD without EMI.

    Raises:
        CheckpointError: no wav2vec2 model, no VAD head in it, labels in another order, or a weight
            missing that would have to be newly initialised.
    """
    arguments = read_config(folder)
    _check_labels(arguments, folder)
    weights, state = read_weights(folder)
    config = EmiConfig(backbone=arguments, targets=())
    model = build(config, translate(state), folder / weights)
    card = ModelCard(
        name=name, targets=(), backbone=name, backbone_licence=licence_of(folder, name)
    )
    return LoadedModel(model, card, hash_files(folder, (CONFIG_FILE, weights)))


def load_authors_model(
    state_dict: Path, backbone: Path, licence: str | None = None
) -> tuple[EmiModel, ModelCard]:
    """Load the state dict that the paper's code saves, with its backbone's config.

    Args:
        state_dict: the .pth file.
        backbone: folder whose config.json describes the backbone; its weights are not read.
        licence: of the backbone; default: what its folder says.

    Raises:
        CheckpointError: a file that is no state dict of that model.
    """
    state = translate(read_pickle(state_dict))
    config = EmiConfig(backbone=read_config(backbone))
    card = ModelCard(
        name=state_dict.stem,
        targets=config.targets,
        backbone=_origin(backbone),
        backbone_licence=licence or licence_of(backbone),
        recipe="paper (imported)",
        data="Hume-Vidmimic2 (as its authors state)",
        split=UNKNOWN,
    )
    return build(config, state, state_dict), card


def read_weights(folder: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the name of a model folder's weights file, and the weights under its names.

    Raises:
        CheckpointError: no such file, or not plain weights.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return WEIGHTS_FILE, read_safetensors(folder / WEIGHTS_FILE)[0]
    return PICKLE_FILE, read_pickle(folder / PICKLE_FILE)


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict of either layout under our names; unknown names stay as they are."""
    return {_our_name(name): weight for name, weight in state.items()}


def read_pickle(path: Path) -> dict[str, Tensor]:
    """Return a state dict from a PyTorch file without running what a pickle could hold.

    Raises:
        CheckpointError: no such file, or more in it than tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"{path}: cannot be loaded as plain tensors ({said}): expected a state dict, "
            "pickled objects are refused"
        ) from error
    tensors = isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(weight, Tensor) for name, weight in content.items()
    )
    if not tensors:
        raise CheckpointError(f"{path}: expected a state dict, names to tensors, and found others")
    return dict(content)


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels that a config.json names, lower case, in the order of their numbers."""
    labels = {int(key): str(label) for key, label in (config.get("id2label") or {}).items()}
    return tuple(labels[key].lower() for key in sorted(labels))


def licence_of(folder: Path, name: str = "") -> str:
    """Return the licence of a model folder's weights, or ``unknown``.

    It is what the front matter of its README.md names, or that of the known public model whose id
    is ``name`` or whose name the folder bears.
    """
    for line in _front_matter(folder / README_FILE):
        key, _, value = line.partition(":")
        if key == "license":
            return value.strip().strip("\"'")
    named = {name, _origin(folder), folder.resolve().name}
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


def _origin(folder: Path) -> str:
    """Return the hub id that a model folder's config names, or the folder's name."""
    named = str(read_config(folder).get("_name_or_path"))
    return named if named.count("/") == 1 else folder.resolve().name


def _our_name(name: str) -> str:
    name = name.removeprefix(AUTHORS_PREFIX)
    for theirs, ours in _OURS.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    for old, new in _POSITIONAL.items():
        name = name.replace(old, new)
    return name


def _check_labels(config: Mapping[str, Any], folder: Path) -> None:
    if config.get("model_type") != "wav2vec2":
        raise CheckpointError(
            f"{folder}: model_type is {config.get('model_type')!r}, expected a checkpoint of this "
            "project or a wav2vec2 model with a VAD head"
        )
    order = labels_of(config)
    if order != VAD_DIMENSIONS:
        raise CheckpointError(
            f"{folder}: labels are {order}, expected {VAD_DIMENSIONS} in this order"
        )
