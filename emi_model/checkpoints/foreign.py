"""The same weights in other projects' layouts, translated to ours.

| theirs | ours |
|---|---|
| the public VAD model: ``wav2vec2.*`` | ``backbone.wav2vec2.*`` |
| ``classifier.{dense,out_proj}.*`` | ``vad_head.*`` |
| the authors' state dict: the same below ``audio_model.`` | the same |
| ``lstm_audio.*`` | ``fusion.lstm.*`` |
| ``fusion_model.{0,2}.*`` | ``fusion.layers.{0,2}.*`` |

The state dict of 2025 is read by `emi_model.checkpoints.layouts.semantic_matters`.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import UNKNOWN, ModelCard
from emi_model.checkpoints.checkpoint import LoadedModel, build, read_safetensors
from emi_model.checkpoints.metadata import WEIGHTS_FILE, ModelMetadata, read_config
from emi_model.checkpoints.public_vad import licence_of, origin_of, vad_metadata, weights_files
from emi_model.errors import CheckpointError

AUTHORS_PREFIX = "audio_model."

DAMAGED = (
    *(OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError),
    *(LookupError, TypeError, AttributeError, AssertionError, struct.error),
)
"""What torch raises on a file that is no state dict, or on a damaged one."""

_SAFE = Path(WEIGHTS_FILE).suffix

_OURS = {
    **{
        f"{prefix}.": f"backbone.{prefix}."
        for prefix in ("wav2vec2", "hubert", "wavlm", "data2vec_audio", "wav2vec2_bert", "whisper")
    },
    "classifier.": "vad_head.",
    "lstm_audio.": "fusion.lstm.",
    "fusion_model.": "fusion.layers.",
}

_POSITIONAL = {
    "pos_conv_embed.conv.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
    "pos_conv_embed.conv.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
}
"""The two spellings of the positional convolution's weight norm, old to new."""


def load_vad_model(folder: Path, name: str, metadata: ModelMetadata | None = None) -> LoadedModel:
    """Load a model in the public VAD model's layout: VAD without EMI.

    Raises:
        CheckpointError: no such model, no VAD head in it, labels in another order, or a weight
            missing that would have to be newly initialised.
    """
    metadata = metadata or vad_metadata(folder, name)
    weights, state = read_weights(folder)
    return LoadedModel.of(metadata, build(metadata.config, translate(state), folder / weights[0]))


def load_authors_model(
    state_dict: Path, backbone: Path, licence: str | None = None
) -> tuple[EmiModel, ModelCard]:
    """Load the state dict that the paper's code saves, with its backbone's config.

    Args:
        state_dict: the .pth file.
        backbone: folder whose config.json describes the backbone; its weights are not read.
        licence: of the backbone; default: that in its folder.

    Raises:
        CheckpointError: the file is no state dict of that model.
    """
    state = translate(read_pickle(state_dict))
    config = EmiConfig(backbone=read_config(backbone))
    card = ModelCard(
        name=state_dict.stem,
        targets=config.targets,
        backbone=origin_of(backbone),
        backbone_licence=licence or licence_of(backbone),
        recipe="paper (imported)",
        data="Hume-Vidmimic2 (as its authors state)",
        split=UNKNOWN,
    )
    return build(config, state, state_dict), card


def read_weights(folder: Path) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """Return the names of a model folder's weights files, and the weights by the names in them.

    Raises:
        CheckpointError: no such file, or not plain weights.
    """
    names, state = weights_files(folder), dict[str, Tensor]()
    for name in names:
        read = read_safetensors if name.endswith(_SAFE) else read_pickle
        state |= read(folder / name)
    return names, state


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict of either layout under our names; unknown names do not change."""
    return {_our_name(name): weight for name, weight in state.items()}


def read_pickle(path: Path) -> dict[str, Tensor]:
    """Return a state dict from a PyTorch file without running code that a pickle may contain.

    Raises:
        CheckpointError: no such file, or it contains more than tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        message = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"{path}: cannot be loaded as plain tensors ({message}): expected a state dict, "
            "pickled objects are refused"
        ) from error
    tensors = isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(weight, Tensor) for name, weight in content.items()
    )
    if not tensors:
        raise CheckpointError(f"{path}: expected a state dict, names to tensors, and found others")
    return dict(content)


def _our_name(name: str) -> str:
    name = name.removeprefix(AUTHORS_PREFIX)
    for theirs, ours in _OURS.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    for old, new in _POSITIONAL.items():
        name = name.replace(old, new)
    return name
