"""Encoders of `transformers`, built from the content of a config.json; no code comes with it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
)

from emi_model.errors import ConfigError

_NOT_OF_A_CONFIG = {
    *("model_type", "auto_map", "architectures", "transformers_version"),
    *("_name_or_path", "torch_dtype", "dtype"),
}


def hub_config(arguments: Mapping[str, Any]) -> PretrainedConfig:
    """Return the config of `transformers` for the content of a config.json.

    Of a model of pictures and texts (CLIP) it is that of the pictures.

    Raises:
        ConfigError: a model that `transformers` does not have, or settings that it refuses.
    """
    if isinstance(inner := arguments.get("vision_config"), Mapping):
        kind = inner.get("model_type") or f"{arguments.get('model_type')}_vision_model"
        return hub_config({**inner, "model_type": kind})
    kind = arguments.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise ConfigError(
            f"encoder.model_type is {kind!r}, expected an encoder of transformers: code that comes "
            "with weights is never executed"
        )
    given = {name: value for name, value in arguments.items() if name not in _NOT_OF_A_CONFIG}
    try:
        config: PretrainedConfig = CONFIG_MAPPING[kind](**given)
    except (TypeError, ValueError, StrictDataclassError) as error:
        message = " ".join(str(error).split())
        raise ConfigError(f"encoder is no config of {kind}: {message}") from error
    if config.is_encoder_decoder:
        raise ConfigError(f"encoder.model_type is {kind!r}, expected an encoder without a decoder")
    return config


def hub_model_class(config: PretrainedConfig, *, classifies: bool = False) -> type[Any]:
    """Return the class of a config's model, or of its classifier of pictures.

    Raises:
        ConfigError: there is none.
    """
    mapping = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING if classifies else MODEL_MAPPING
    if type(config) not in mapping:
        what = "classifier of pictures" if classifies else "encoder"
        raise ConfigError(f"encoder.model_type is {config.model_type!r}, which has no {what}")
    found: Any = mapping[type(config)]
    chosen: type[Any] = found[0] if isinstance(found, tuple) else found
    return chosen


def pooling_argument(model: type[Any]) -> dict[str, bool]:
    """Return the argument that leaves out a model's pooling layer, whose output is never read."""
    takes = "add_pooling_layer" in inspect.signature(model.__init__).parameters
    return {"add_pooling_layer": False} if takes else {}


def hub_model(arguments: Mapping[str, Any], *, classifies: bool = False) -> nn.Module:
    """Return an encoder with fresh weights.

    Args:
        arguments: content of a config.json.
        classifies: build the classifier of pictures around it, too.

    Raises:
        ConfigError: as `hub_config`.
    """
    config = hub_config(arguments)
    model = hub_model_class(config, classifies=classifies)
    try:
        built: nn.Module = model(config, **({} if classifies else pooling_argument(model)))
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise ConfigError(f"encoder does not make a {config.model_type}: {error}") from error
    return built


def states_width(config: Any) -> int:
    """Return the width of an encoder's states."""
    width = getattr(config, "hidden_size", None) or config.hidden_sizes[-1]
    return int(width)


def last_states(output: Any) -> Tensor:
    """Return the last hidden states (B, T, D) of an encoder's output; a map's pixels are tokens."""
    states: Tensor = output if isinstance(output, Tensor) else output.last_hidden_state
    return states.flatten(2).transpose(1, 2) if states.ndim == 4 else states
