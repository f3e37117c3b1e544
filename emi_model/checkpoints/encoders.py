"""Encoders of text and faces: their weights, with all that a branch needs beside them.

| reference | what it is |
|---|---|
| folder or hub id | a model of `transformers`, or gte (``model_type`` ``new``), in its own layout |
| a file ``*.hdf5`` | a small Keras network of faces, such as ``emotion_model.hdf5`` of ``fer`` |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from emi_model.architecture.config import MODEL_TYPE, EmiConfig
from emi_model.architecture.encoder_branch import EncoderBranch
from emi_model.architecture.model import EmiModel
from emi_model.architecture.text_branch import TextBranch
from emi_model.architecture.vision_branch import CLASSIFIER
from emi_model.checkpoints.card import UNKNOWN
from emi_model.checkpoints.checkpoint import check_weights
from emi_model.checkpoints.layouts.hub_folder import (
    PROCESSOR_FILE,
    read_encoder,
    read_processor,
    read_tokenizer,
)
from emi_model.checkpoints.layouts.keras_file import KERAS_SUFFIXES, read_keras
from emi_model.checkpoints.metadata import CONFIG_FILE, hash_files, read_config
from emi_model.checkpoints.public_vad import licence_of, weights_files
from emi_model.checkpoints.resolve import name_of, resolve
from emi_model.errors import CheckpointError, ConfigError
from emi_model.modalities import TRANSCRIPT, VISION

_LICENCES = {"59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e": "MIT"}
"""Licences of files that name none, by their hash: emotion_model.hdf5 of fer 25.10.3."""

_OF_AN_ENCODER = ("encoder", "processor", "tokens")
"""Arguments of a branch that come with an encoder."""


@dataclass(frozen=True, eq=False)
class LoadedEncoder:
    """An encoder from elsewhere.

    Attributes:
        modality: ``text`` or ``vision``.
        name: of the model it comes from.
        licence: of its weights; it applies to every model made from them.
        sha256: hash of its config and weights, hex.
        arguments: of the branch: ``encoder``, and for pictures ``processor``.
        weights: of the encoder, by its own names.
        tokenizer: of a text encoder.
    """

    modality: str
    name: str
    licence: str
    sha256: str
    arguments: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    tokenizer: Tokenizer | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What the card of a model made from it says."""
        return {"name": self.name, "licence": self.licence, "sha256": self.sha256}

    def give_to(self, model: EmiModel) -> None:
        """Give the weights and the tokenizer to a model's branch of this modality.

        Raises:
            CheckpointError: they do not fit exactly.
        """
        branch = model.each_branch().get(self.modality)
        if not isinstance(branch, EncoderBranch):
            raise CheckpointError(
                f"the model has no branch of {self.modality} with an encoder: take another recipe"
            )
        check_weights(branch.encoder.state_dict(), self.weights, Path(self.name))
        branch.encoder.load_state_dict(self.weights)
        if isinstance(branch, TextBranch) and self.tokenizer is not None:
            branch.use(self.tokenizer)


def references_of(config: EmiConfig) -> dict[str, str]:
    """Return, by modality, the references that stand in a config for encoders not loaded yet."""
    named = {name: arguments.get("encoder") for name, arguments in config.branches.items()}
    return {name: found for name, found in named.items() if isinstance(found, str)}


def with_encoder_paths(config: EmiConfig) -> EmiConfig:
    """Return a config whose references to encoders are their places on this machine.

    Raises:
        ModelNotFound: as `encoder_path`.
    """
    branches = {name: dict(arguments) for name, arguments in config.branches.items()}
    for modality, reference in references_of(config).items():
        branches[modality]["encoder"] = encoder_path(reference)
    return replace(config, branches=branches)


def load_encoders(config: EmiConfig) -> list[LoadedEncoder]:
    """Load the encoders that a config only refers to.

    Raises:
        EmiError: as `load_encoder`.
    """
    return [
        load_encoder(reference, modality, config.branches[modality])
        for modality, reference in references_of(config).items()
    ]


def with_encoders(config: EmiConfig, encoders: Sequence[LoadedEncoder]) -> EmiConfig:
    """Return a config with the architecture of encoders in place of references to them."""
    branches = {name: dict(arguments) for name, arguments in config.branches.items()}
    for encoder in encoders:
        own = branches[encoder.modality]
        kept = {name: own[name] for name in own if name not in _OF_AN_ENCODER}
        branches[encoder.modality] = {**kept, **encoder.arguments}
    return replace(config, branches=branches)


def encoder_path(reference: str) -> str:
    """Return where an encoder lies on this machine; one of the hub is fetched.

    Raises:
        ModelNotFound: neither a folder nor available from the hub.
    """
    if Path(reference).suffix in KERAS_SUFFIXES:
        return str(Path(reference).absolute())
    return str(resolve(reference).absolute())


def load_encoder(
    reference: str, modality: str, arguments: Mapping[str, Any] | None = None
) -> LoadedEncoder:
    """Load an encoder with its tokenizer or its processor's settings.

    Args:
        reference: see the module.
        modality: ``text`` or ``vision``.
        arguments: of the branch that it is for; with pooling ``classifier`` its classifier is
            loaded, too.

    Raises:
        ModelNotFound: neither a folder nor available from the hub.
        CheckpointError: no encoder, or weights missing that would have to be newly initialised.
        ConfigError: no encoder has the modality, or this one's settings are refused.
    """
    if modality not in (TRANSCRIPT, VISION):
        raise ConfigError(f"found an encoder for {modality!r}, expected text or vision")
    if Path(reference).suffix in KERAS_SUFFIXES:
        return _load_keras(Path(reference), modality)
    folder = resolve(reference)
    content = read_config(folder)
    classifies = (arguments or {}).get("pooling") == CLASSIFIER
    try:
        config, weights = read_encoder(folder, content, classifies)
    except ConfigError as error:
        raise CheckpointError(f"{reference}: {error}") from error
    extra: dict[str, Any] = {}
    tokenizer = None
    if modality == VISION:
        extra = {"processor": read_processor(folder, reference)}
    else:
        tokenizer = read_tokenizer(folder, reference)
    name = name_of(reference, folder)
    return LoadedEncoder(
        modality=modality,
        name=name,
        licence=licence_of(folder, name),
        sha256=hash_files(folder, (CONFIG_FILE, *weights_files(folder))),
        arguments={"encoder": config, **extra},
        weights=weights,
        tokenizer=tokenizer,
    )


def encoder_facts(reference: str) -> dict[str, str] | None:
    """Return what an encoder is, for people; None for a model that hears, or one of this project.

    It is loaded, so that what cannot be used is an error here.

    Raises:
        EmiError: as `load_encoder`.
    """
    modality = _modality_of(reference)
    if modality is None:
        return None
    found = load_encoder(reference, modality)
    kind = found.arguments["encoder"].get("model_type")
    parameters = sum(weight.numel() for weight in found.weights.values())
    return {
        "encoder": f"--{modality}-encoder",
        "name": found.name,
        "model_type": str(kind),
        "parameters": f"{parameters:,}",
        "licence": found.licence,
        "sha256": found.sha256,
    }


def _modality_of(reference: str) -> str | None:
    """Return what an encoder reads; None where it is no encoder of text or faces."""
    if Path(reference).suffix in KERAS_SUFFIXES:
        return VISION
    folder = resolve(reference)
    content = read_config(folder)
    if content.get("model_type") == MODEL_TYPE:
        return None
    if (folder / PROCESSOR_FILE).is_file():
        heard = "sampling_rate" in (folder / PROCESSOR_FILE).read_text(encoding="utf-8")
        return None if heard else VISION
    # a speech model that writes letters has a vocabulary, too
    reads = (
        content.get("vocab_size") and "conv_dim" not in content and "num_mel_bins" not in content
    )
    return TRANSCRIPT if reads else None


def _load_keras(path: Path, modality: str) -> LoadedEncoder:
    if modality != VISION:
        raise CheckpointError(f"{path}: a Keras network of faces, expected an encoder of text")
    read = read_keras(path)
    return LoadedEncoder(
        modality=modality,
        name=path.stem,
        licence=_LICENCES.get(read.sha256, UNKNOWN),
        sha256=read.sha256,
        arguments={"encoder": read.encoder, "processor": read.processor},
        weights=read.weights,
    )
