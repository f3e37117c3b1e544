"""Builds the audio backbone that a config describes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from emi_model.architecture.backbones.base import Backbone, FrameGeometry
from emi_model.architecture.backbones.families import FAMILIES, named_family
from emi_model.errors import ConfigError


def family_of(arguments: Mapping[str, Any]) -> type[Backbone]:
    """Return the class of the backbone that arguments describe.

    Raises:
        ConfigError: their ``model_type`` is no family here.
    """
    family = named_family(arguments)
    if family is None:
        raise ConfigError(
            f"backbone has model_type {arguments['model_type']!r}, expected one of "
            f"{', '.join(FAMILIES)}: other backbones cannot be built here"
        )
    module = import_module(f"{__package__}.{family.module}")
    found: type[Backbone] = getattr(module, family.class_name)
    return found


def build_backbone(arguments: Mapping[str, Any]) -> Backbone:
    """Return the backbone that arguments describe, with fresh weights.

    Args:
        arguments: of the family's ``transformers`` config, which ``model_type`` names (default:
            wav2vec2); ``max_layers``: those above are left out; ``do_normalize``: false where
            a waveform is not to be normalised; of Whisper ``silence_seconds``: that follow each
            clip, 0 if not given.

    Raises:
        ConfigError: no such family, or arguments that it does not accept.
    """
    family: Any = family_of(arguments)
    found: Backbone = family(arguments)
    return found


def backbone_config(arguments: Mapping[str, Any]) -> Any:
    """Return the checked ``transformers`` config of a backbone.

    Raises:
        ConfigError: see `build_backbone`.
    """
    return family_of(arguments).checked_config(arguments)


def geometry_of(arguments: Mapping[str, Any]) -> FrameGeometry:
    """Return the frame geometry of the backbone that these arguments describe.

    Raises:
        ConfigError: see `build_backbone`.
    """
    family = family_of(arguments)
    return family.geometry_of(family.checked_config(arguments))
