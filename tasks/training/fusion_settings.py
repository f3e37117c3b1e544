"""Settings of a recipe's fusion: ``fusion.name``, and the arguments of the fusion of that name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emi_model.architecture.fusions.fusion import FUSION_NAME
from emi_model.architecture.fusions.registry import PAPER, fusion_class
from emi_model.errors import ConfigError
from emi_model.training.recipes import Recipe
from tasks.training.parsing import parsed

_FUSION = "fusion"


def is_of_the_fusion(key: str) -> bool:
    """Return whether a key is that of a fusion's setting."""
    return key.partition(".")[0] == _FUSION


def fusion_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a recipe's fusion by key, the usual ones included."""
    given = recipe.model.fusion or {FUSION_NAME: PAPER}
    settable = {FUSION_NAME: PAPER, **_settable(recipe)}
    return {f"{_FUSION}.{name}": given.get(name, usual) for name, usual in settable.items()}


def with_fusion(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """Return a recipe with the settings of its fusion changed; others are left alone.

    With another ``fusion.name``, the arguments of the fusion before go.

    Args:
        recipe: any.
        settings: values as text by key.

    Raises:
        ConfigError: no such fusion or setting, or a value that does not fit.
    """
    before = PAPER if recipe.model.fusion is None else recipe.model.fusion[FUSION_NAME]
    name = settings.get(f"{_FUSION}.{FUSION_NAME}", before)
    if name != before:
        recipe = replace(recipe, model=replace(recipe.model, fusion={FUSION_NAME: name}))
    settable = _settable(recipe)
    for key, text in settings.items():
        _, _, argument = key.partition(".")
        if not is_of_the_fusion(key) or argument == FUSION_NAME:
            continue
        if argument not in settable:
            known = ", ".join(f"{_FUSION}.{each}" for each in (FUSION_NAME, *settable))
            raise ConfigError(f"no setting {key!r} of fusion {name!r}, expected one of {known}")
        usual = settable[argument]
        value = parsed(key, text, int | None if usual is None else type(usual))
        fusion = {FUSION_NAME: name, **(recipe.model.fusion or {}), argument: value}
        recipe = replace(recipe, model=replace(recipe.model, fusion=fusion))
    return recipe


def _settable(recipe: Recipe) -> dict[str, Any]:
    """Return the usual values of the fusion's arguments that one text can hold."""
    usual = fusion_class(recipe.model).usual
    return {name: value for name, value in usual.items() if not isinstance(value, Mapping)}
