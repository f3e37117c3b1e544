"""A backbone alone: the wav2vec2 weights of any checkpoint that has them, never new ones.

| checkpoint | where its backbone is | VAD head |
|---|---|---|
| ``Wav2Vec2ForCTC``, ``...ForPreTraining`` | ``wav2vec2.*`` | none; their own head is ignored |
| ``Wav2Vec2Model`` | names without a prefix | none |
| the public VAD model | ``wav2vec2.*`` | ``classifier.*`` |
| this project's | ``backbone.wav2vec2.*`` | ``vad_head.*``, unless it was switched off |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emi_model.architecture.audio_branch import Backbone, wav2vec2_config
from emi_model.architecture.config import MODEL_TYPE
from emi_model.checkpoints.checkpoint import LoadedModel, check_weights, load_checkpoint
from emi_model.checkpoints.foreign import load_vad_model, read_weights, translate
from emi_model.checkpoints.metadata import CONFIG_FILE, hash_files, read_config
from emi_model.checkpoints.public_vad import labels_of, licence_of
from emi_model.checkpoints.resolve import name_of, resolve
from emi_model.errors import CheckpointError
from emi_model.targets import VAD_DIMENSIONS

BACKBONE = "backbone."
HEAD = "vad_head."
PREFIX = "wav2vec2."
MASK_EMBEDDING = "backbone.wav2vec2.masked_spec_embed"
"""SpecAugment replaces masked frames by it; models that were only trained to transcribe lack it."""


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """Weights to start a model from.

    Attributes:
        name: of the model that they come from.
        licence: of these weights; it applies to every model made from them.
        arguments: of a ``transformers.Wav2Vec2Config``.
        weights: of the backbone, under our names.
        head: of the VAD head, under our names; empty where there is none.
        sha256: hash of the config and the weights that were read, hex.
    """

    name: str
    licence: str
    arguments: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    head: Mapping[str, Tensor]
    sha256: str

    @property
    def num_layers(self) -> int:
        """Layers of its encoder."""
        return wav2vec2_config(self.arguments).num_hidden_layers

    @property
    def has_mask_embedding(self) -> bool:
        """Whether SpecAugment can mask frames without a new weight."""
        return MASK_EMBEDDING in self.weights

    @property
    def would_mask(self) -> bool:
        """Whether its own config asks for SpecAugment over frames."""
        masks = self.arguments.get("apply_spec_augment", True)
        return bool(masks) and self.arguments.get("mask_time_prob", 0.05) > 0


def load_backbone(reference: str) -> LoadedBackbone:
    """Load all wav2vec2 weights of a checkpoint, and its VAD head if it has one.

    Only the embedding of masked frames may be absent: a caller that needs it has to check.

    Args:
        reference: a folder, or an id on the hub, ``owner/name``.

    Raises:
        ModelNotFound: neither a folder nor available from the hub.
        CheckpointError: no wav2vec2 model, or one with a weight missing, superfluous or of
            another shape.
    """
    folder = resolve(reference)
    name = name_of(reference, folder)
    config = read_config(folder)
    kind = config.get("model_type")
    if kind == MODEL_TYPE:
        return backbone_of(load_checkpoint(folder))
    if kind != "wav2vec2":
        raise CheckpointError(
            f"{reference}: model_type is {kind!r}, expected 'wav2vec2': other backbones cannot be "
            "built here"
        )
    if labels_of(config) == VAD_DIMENSIONS:
        return backbone_of(load_vad_model(folder, name))
    return _load_generic(folder, config, name)


def backbone_of(loaded: LoadedModel) -> LoadedBackbone:
    """Return the backbone of a loaded model, with its VAD head where it has one."""
    state = loaded.model.state_dict()
    card = loaded.card
    return LoadedBackbone(
        name=card.name,
        licence=card.backbone_licence,
        arguments=loaded.model.config.backbone,
        weights={name: weight for name, weight in state.items() if name.startswith(BACKBONE)},
        head={name: weight for name, weight in state.items() if name.startswith(HEAD)},
        sha256=loaded.sha256,
    )


def _load_generic(folder: Path, config: Mapping[str, Any], name: str) -> LoadedBackbone:
    file, state = read_weights(folder)
    if any(key.startswith(PREFIX) for key in state):
        own = {key: weight for key, weight in state.items() if key.startswith(PREFIX)}
    else:
        own = {PREFIX + key: weight for key, weight in state.items()}
    weights = translate(own)
    expected = _expected(config)
    if MASK_EMBEDDING not in weights:
        del expected[MASK_EMBEDDING]
    check_weights(expected, weights, folder / file)
    return LoadedBackbone(
        name=name,
        licence=licence_of(folder, name),
        arguments=config,
        weights=weights,
        head={},
        sha256=hash_files(folder, (CONFIG_FILE, file)),
    )


def _expected(config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a backbone's weights by name, without values; the mask embedding is among them."""
    with torch.device("meta"):
        backbone = Backbone({**config, "mask_time_prob": 0.05})
    return {BACKBONE + name: weight for name, weight in backbone.state_dict().items()}
