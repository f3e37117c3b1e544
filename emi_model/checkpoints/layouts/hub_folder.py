"""Reads an encoder from a folder of `transformers`: weights, tokenizer, processor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers.utils import logging

from emi_model.architecture.encoders.gte import GTE, GteEncoder
from emi_model.architecture.encoders.hub_models import (
    hub_config,
    hub_model_class,
    pooling_argument,
)
from emi_model.architecture.encoders.pictures import Processor
from emi_model.architecture.text_branch import TOKENIZER_FILE
from emi_model.checkpoints.checkpoint import check_weights
from emi_model.checkpoints.foreign import read_weights
from emi_model.errors import CheckpointError, ModelNotFound

PROCESSOR_FILE = "preprocessor_config.json"

_PROCESSOR_KEYS = (
    *("do_resize", "size", "resample", "do_center_crop", "crop_size"),
    *("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"),
)

_UNCROPPED_EDGE = 384
"""Pictures of so many pixels are not cropped by ``crop_pct``: ConvNextImageProcessor."""

_ROUNDING = 1e-3

_VOCABULARIES = ("vocab.*", "*.model")
"""Files of older tokenizers; without one of them `transformers` makes an empty vocabulary."""

_GTE_PREFIX = "new."
_GTE_HEADS = ("lm_head.", "pooler.", "classifier.")
"""Beginnings of names in gte's file that its encoder does not have."""


def read_encoder(
    folder: Path, content: Mapping[str, Any], classifies: bool
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return an encoder's config and its weights, by its own names.

    Args:
        folder: of the model.
        content: of its config.json.
        classifies: read its classifier of pictures, too.

    Raises:
        CheckpointError: weights are missing, or cannot be read.
        ConfigError: `transformers` has no such encoder.
    """
    if content.get("model_type") == GTE:
        files, state = read_weights(folder)
        own = {
            name.removeprefix(_GTE_PREFIX): weight.float()
            for name, weight in state.items()
            if not name.removeprefix(_GTE_PREFIX).startswith(_GTE_HEADS)
        }
        with torch.device("meta"):
            check_weights(GteEncoder(content).state_dict(), own, folder / files[0])
        return dict(content), own
    config = hub_config(content)
    kind = hub_model_class(config, classifies=classifies)
    with quiet_transformers():
        try:
            model, report = kind.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                output_loading_info=True,
                dtype=torch.float32,
                **({} if classifies else pooling_argument(kind)),
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
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


def read_tokenizer(folder: Path, reference: str) -> Tokenizer:
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

        with quiet_transformers():
            made: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return Tokenizer.from_str(made.backend_tokenizer.to_str())
    except Exception as error:
        message = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{reference}: has no tokenizer that can be read ({message}): expected "
            f"{TOKENIZER_FILE} beside its weights"
        ) from error


def read_processor(folder: Path, reference: str) -> dict[str, Any]:
    """Return the settings of a folder's processor that decide a picture's values.

    Raises:
        ModelNotFound: there is none.
        CheckpointError: it is damaged, or does with pictures what is not written here.
    """
    path = folder / PROCESSOR_FILE
    if not path.is_file():
        raise ModelNotFound(f"{reference}: holds no {PROCESSOR_FILE}: no encoder of pictures")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from error
    found = {key: content[key] for key in _PROCESSOR_KEYS if key in content}
    theirs = _processor_of(content)
    if theirs is None:
        return found
    found = _zoomed(_usual_settings(theirs) | found, theirs)
    if not _agrees(found, theirs):
        raise CheckpointError(
            f"{path}: {type(theirs).__name__} does with pictures what is not written here: name an "
            "encoder with another processor"
        )
    return found


def _processor_of(content: Mapping[str, Any]) -> Any | None:
    """Return the processor of `transformers` that a file describes; None where it names none."""
    import transformers

    name = content.get("image_processor_type") or content.get("feature_extractor_type") or ""
    plain = str(name).removesuffix("Fast").replace("FeatureExtractor", "ImageProcessor")
    kind: Any = getattr(transformers, f"{plain}Pil", None)
    return None if kind is None else kind.from_dict(dict(content))


def _usual_settings(processor: Any) -> dict[str, Any]:
    """Return what a processor's class has where its file says nothing."""
    usual = {key: getattr(type(processor), key, None) for key in _PROCESSOR_KEYS}
    given = {key: value for key, value in usual.items() if value is not None}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in given.items()}


def _zoomed(found: dict[str, Any], processor: Any) -> dict[str, Any]:
    """Return settings in which a share that is kept of a picture's side is a size and a crop."""
    share, side = getattr(processor, "crop_pct", None), getattr(processor, "size", None) or {}
    edge = side.get("shortest_edge")
    if not share or not edge or edge >= _UNCROPPED_EDGE:
        return found
    return found | {"size": int(edge / share), "do_center_crop": True, "crop_size": edge}


def _agrees(found: Mapping[str, Any], processor: Any) -> bool:
    """Return whether a picture becomes what the processor of `transformers` makes of it."""
    picture = np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3), np.uint8)
    try:
        expected = processor(list(picture), return_tensors="pt")["pixel_values"]
    except (ValueError, TypeError, LookupError, AttributeError):
        return True  # it takes no such settings: there is nothing to compare with
    own = Processor.of(found)
    made = own.scaled(own.sized(torch.from_numpy(picture)))
    return made.shape == expected.shape and bool((made - expected).abs().max() < _ROUNDING)


@contextmanager
def quiet_transformers() -> Iterator[None]:
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
