"""Single settings of a recipe, by name: shown by `emi recipes NAME`, changed by ``KEY=VALUE``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, get_type_hints

from emi_model.architecture.backbones.base import MAX_LAYERS
from emi_model.architecture.backbones.registry import backbone_config
from emi_model.architecture.config import EmiConfig
from emi_model.audio.augment import Augmentation
from emi_model.errors import ConfigError
from emi_model.training.config import TrainConfig
from emi_model.training.recipes import Recipe
from tasks.training.branch_settings import branch_settings, is_of_a_branch, with_branches
from tasks.training.fusion_settings import fusion_settings, is_of_the_fusion, with_fusion
from tasks.training.parsing import parsed

_AUGMENTATION, _MODEL, _BACKBONE = "augmentation", "model", "backbone"
_NOT_OF_A_RECIPE = {"backbone", "targets", "branches", "fusion"}
"""Fields of `EmiConfig` that are the labels' or have settings of their own."""

_MASKS = ("mask_", "apply_spec_augment", MAX_LAYERS)
"""Beginnings of what can be set of a backbone whose weights are published."""


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return every setting of a recipe by its key, in the order of the configs."""
    train = {name: getattr(recipe.train, name) for name in _types(TrainConfig)}
    del train[_AUGMENTATION]
    changes = {name: getattr(recipe.train.augmentation, name) for name in _types(Augmentation)}
    model = {name: getattr(recipe.model, name) for name in _model_types()}
    backbone = recipe.model.backbone if recipe.backbone is None else _masks_of(recipe)
    return {
        **train,
        **{f"{_AUGMENTATION}.{name}": value for name, value in changes.items()},
        **{f"{_MODEL}.{name}": value for name, value in model.items()},
        **{f"{_BACKBONE}.{name}": value for name, value in backbone.items()},
        **branch_settings(recipe),
        **fusion_settings(recipe),
    }


def with_settings(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """Return a recipe with some settings changed.

    Args:
        recipe: any.
        settings: values as text by the keys of `settings_of`.

    Raises:
        ConfigError: no such setting, or a value that does not fit.
    """
    recipe = with_fusion(with_branches(recipe, settings), settings)
    groups: dict[str, dict[str, Any]] = {"": {}, _AUGMENTATION: {}, _MODEL: {}, _BACKBONE: {}}
    types = {"": _types(TrainConfig), _AUGMENTATION: _types(Augmentation), _MODEL: _model_types()}
    types[""].pop(_AUGMENTATION)
    for key, text in settings.items():
        if is_of_a_branch(key) or is_of_the_fusion(key):
            continue
        group, _, name = key.rpartition(".")
        if group == _BACKBONE:
            groups[group][name] = _of_backbone(recipe, name, text)
        elif name in types.get(group, {}):
            groups[group][name] = parsed(key, text, types[group][name])
        else:
            raise ConfigError(_unknown(key, settings_of(recipe)))
    if "loss" in groups[""]:
        groups[""]["loss"] = groups[""]["loss"].replace("_", "+")
    changes = replace(recipe.train.augmentation, **groups[_AUGMENTATION])
    backbone = {**recipe.model.backbone, **groups[_BACKBONE]}
    return replace(
        recipe,
        train=replace(recipe.train, augmentation=changes, **groups[""]),
        model=replace(recipe.model, backbone=backbone, **groups[_MODEL]),
    )


def _unknown(key: str, known: Iterable[str]) -> str:
    alike = get_close_matches(key, list(known), n=3, cutoff=0.5)
    meant = f", is {' or '.join(alike)} meant?" if alike else ":"
    return f"no setting {key!r}{meant} `emi recipes NAME` lists all"


def _types(config: type) -> dict[str, Any]:
    hints = get_type_hints(config)
    return {entry.name: hints[entry.name] for entry in fields(config)}


def _model_types() -> dict[str, Any]:
    return {n: kind for n, kind in _types(EmiConfig).items() if n not in _NOT_OF_A_RECIPE}


def _masks_of(recipe: Recipe) -> dict[str, Any]:
    backbone = recipe.model.backbone
    return {name: value for name, value in backbone.items() if name.startswith(_MASKS)}


def _of_backbone(recipe: Recipe, name: str, text: str) -> Any:
    """Return an argument of the backbone, of the type that it has in transformers."""
    key = f"{_BACKBONE}.{name}"
    usual = {**vars(backbone_config(recipe.model.backbone)), MAX_LAYERS: 1}
    if name not in usual or name.startswith("_"):
        raise ConfigError(f"no setting {key!r}, expected an argument of its transformers config")
    if recipe.backbone is not None and not name.startswith(_MASKS):
        raise ConfigError(
            f"{key} is that of the weights which the recipe starts from: only masks can be set, "
            f"and {MAX_LAYERS}"
        )
    if isinstance(usual[name], (list, tuple)):
        return [parsed(key, part, int) for part in text.split(",")]
    return parsed(key, text, type(usual[name]))
