"""A backbone alone: the weights of any checkpoint that has them, never new ones.

| checkpoint | where its backbone is | VAD head |
|---|---|---|
| ``Wav2Vec2ForCTC``, ``HubertForCTC`` ... | ``wav2vec2.*``, ... | none; their own head is ignored |
| ``Wav2Vec2Model``, ``WavLMModel`` ... | names without a prefix | none |
| Whisper models of ``transformers`` | ``model.encoder.*``, ``encoder.*`` | none |
| Whisper models of CTranslate2 | ``encoder/*`` in ``model.bin`` | none |
| the public VAD model, or others like it | ``wav2vec2.*``, ... | ``classifier.*`` |
| this project's | ``backbone.wav2vec2.*``, ... | ``vad_head.*``, unless it was switched off |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emi_model.architecture.backbones.families import FAMILIES
from emi_model.architecture.backbones.registry import (
    backbone_config,
    build_backbone,
    family_of,
    geometry_of,
)
from emi_model.architecture.config import MODEL_TYPE, EmiConfig
from emi_model.checkpoints.checkpoint import LoadedModel, check_weights, load_checkpoint
from emi_model.checkpoints.ctranslate2_whisper import (
    MODEL_FILE,
    is_ctranslate2,
    read_whisper_encoder,
)
from emi_model.checkpoints.foreign import load_vad_model, read_weights, translate
from emi_model.checkpoints.metadata import CONFIG_FILE, hash_files, named, read_config
from emi_model.checkpoints.public_vad import (
    backbone_arguments,
    decisive_files,
    labels_of,
    licence_of,
)
from emi_model.checkpoints.resolve import name_of, resolve
from emi_model.errors import CheckpointError
from emi_model.targets import VAD_DIMENSIONS
from emi_model.units import SAMPLING_RATE

BACKBONE = "backbone."
HEAD = "vad_head."
MASK_EMBEDDING = "masked_spec_embed"
"""SpecAugment replaces masked frames by it; models that were only trained to transcribe lack it."""


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """Weights to start a model from.

    Attributes:
        name: of the model that they come from.
        licence: of these weights; it applies to every model made from them.
        arguments: as `emi_model.architecture.backbones.registry.build_backbone` takes them.
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
        return int(backbone_config(self.arguments).num_hidden_layers)

    @property
    def family(self) -> str:
        """The ``model_type`` of its family."""
        return family_of(self.arguments).model_type

    @property
    def hop_seconds(self) -> float:
        """Seconds from one frame's start to the next."""
        return geometry_of(self.arguments).hop_samples / SAMPLING_RATE

    @property
    def has_mask_embedding(self) -> bool:
        """Whether SpecAugment can mask frames without a new weight."""
        family = family_of(self.arguments)
        return not family.has_mask_embedding or _mask_embedding(self.arguments) in self.weights

    @property
    def would_mask(self) -> bool:
        """Whether its own config asks for SpecAugment over frames."""
        config = backbone_config(self.arguments)
        return bool(config.apply_spec_augment) and config.mask_time_prob > 0


def load_backbone(reference: str) -> LoadedBackbone:
    """Load all weights of a checkpoint's backbone, and its VAD head if it has one.

    Only the embedding of masked frames may be absent: a caller that needs it has to check.

    Args:
        reference: a folder, or an id on the hub, ``owner/name``.

    Raises:
        ModelNotFound: neither a folder nor available from the hub.
        CheckpointError: no model of a family that can be built here, or one with a weight
            missing, superfluous or of another shape.
    """
    folder = resolve(reference)
    name = name_of(reference, folder)
    config = read_config(folder)
    kind = config.get("model_type")
    if kind == MODEL_TYPE:
        return backbone_of(load_checkpoint(folder))
    if kind is None and is_ctranslate2(folder):
        return _load_ctranslate2(folder, name)
    if kind not in FAMILIES:
        raise CheckpointError(
            f"{reference}: model_type is {kind!r}, expected one of {', '.join(FAMILIES)}: other "
            "backbones cannot be built here"
        )
    if labels_of(config) == VAD_DIMENSIONS:
        return backbone_of(load_vad_model(folder, name))
    return _load_generic(folder, config, name)


def read_backbone_arguments(folder: Path) -> Mapping[str, Any]:
    """Return the arguments of the backbone in a model's folder; its weights are not read.

    Raises:
        CheckpointError: no config of a family that can be built here.
    """
    config = read_config(folder)
    if config.get("model_type") == MODEL_TYPE:
        return EmiConfig.from_dict(config).backbone
    if is_ctranslate2(folder) and "model_type" not in config:
        given, _ = read_whisper_encoder(folder)
        return family_of(given).arguments_of(given)
    with named(folder / CONFIG_FILE):
        return family_of(config).arguments_of(backbone_arguments(folder, config))


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
    files, state = read_weights(folder)
    with named(folder / CONFIG_FILE):
        family = family_of(config)
        arguments = family.arguments_of(backbone_arguments(folder, config))
        return _checked(folder, name, arguments, family.weights_of(state), files)


def _load_ctranslate2(folder: Path, name: str) -> LoadedBackbone:
    given, weights = read_whisper_encoder(folder)
    arguments = family_of(given).arguments_of(given)
    return _checked(folder, name, arguments, weights, (MODEL_FILE,))


def _checked(
    folder: Path,
    name: str,
    arguments: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    files: tuple[str, ...],
) -> LoadedBackbone:
    """Return a backbone of which every weight is there, under our names."""
    prefix = f"{family_of(arguments).prefix}."
    own = translate({prefix + key: weight for key, weight in weights.items()})
    expected = _expected(arguments)
    if _mask_embedding(arguments) not in own:
        expected.pop(_mask_embedding(arguments), None)
    check_weights(expected, own, folder / files[0])
    return LoadedBackbone(
        name=name,
        licence=licence_of(folder, name),
        arguments=arguments,
        weights=own,
        head={},
        sha256=hash_files(folder, decisive_files(arguments, *files)),
    )


def _mask_embedding(arguments: Mapping[str, Any]) -> str:
    return f"{BACKBONE}{family_of(arguments).prefix}.{MASK_EMBEDDING}"


def _expected(config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a backbone's weights by name, without values; the mask embedding is among them."""
    with torch.device("meta"):
        backbone = build_backbone({**config, "mask_time_prob": 0.05})
    return {BACKBONE + name: weight for name, weight in backbone.state_dict().items()}
