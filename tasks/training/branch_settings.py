"""Settings of a recipe's branches: ``text.encoder``, ``vision.trained``, ``audio.optional``.

One of text or vision adds the branch where the recipe has none: optional, its encoder frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emi_model.architecture.config import OPTIONAL
from emi_model.architecture.encoder_branch import TRAINED
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO, TRANSCRIPT, VISION
from emi_model.training.recipes import Recipe
from tasks.training.parsing import parsed

ENCODER = "encoder"

_OF_AN_ENCODER = {ENCODER: str, "pooling": str, TRAINED: bool, "dropout": float, OPTIONAL: bool}
_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    AUDIO: {OPTIONAL: bool},
    TRANSCRIPT: {**_OF_AN_ENCODER, "max_tokens": int},
    VISION: {**_OF_AN_ENCODER, "max_frames": int | None},
}
"""Arguments of branches that can be set, with their types."""


def is_of_a_branch(key: str) -> bool:
    """Return whether a key is that of a branch's setting."""
    return key.partition(".")[0] in _ARGUMENTS


def branch_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a recipe's branches by key; of an architecture its name."""
    return {
        f"{modality}.{name}": value.get("model_type") if isinstance(value, Mapping) else value
        for modality, arguments in recipe.model.branches.items()
        for name, value in arguments.items()
        if name in _ARGUMENTS.get(modality, {})
    }


def with_branches(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """Return a recipe with the settings of its branches changed; others are left alone.

    Args:
        recipe: any.
        settings: values as text by key; ``text.encoder`` is a folder or hub id.

    Raises:
        ConfigError: no such setting, or a value that does not fit.
    """
    branches = {name: dict(arguments) for name, arguments in recipe.model.branches.items()}
    for key, text in settings.items():
        if not is_of_a_branch(key):
            continue
        modality, _, name = key.partition(".")
        known = _ARGUMENTS[modality]
        if name not in known:
            raise ConfigError(
                f"no setting {key!r}, expected one of "
                f"{', '.join(f'{modality}.{each}' for each in known)}"
            )
        if modality not in branches and modality == AUDIO:
            raise ConfigError(f"{key} is set, but the recipe's model hears nothing")
        own = branches.setdefault(modality, {OPTIONAL: True, TRAINED: False})
        own[name] = parsed(key, text, known[name])
    return replace(recipe, model=replace(recipe.model, branches=branches))
