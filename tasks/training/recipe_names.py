"""Names of recipes: one of ours or of a Python file, with variants and single settings.

paper_small+ccc+epochs=5+augmentation.speed=0.9,1.1
my_recipes.py:mine+ema
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from emi_model.errors import ConfigError, EmiError
from emi_model.training.recipes import Recipe, recipe_named, with_variants
from tasks.training.recipe_settings import with_settings

_OWN = ".py:"


def chosen_recipe(name: str) -> Recipe:
    """Return the recipe of a name.

    Args:
        name: of one of our recipes, or ``FILE.py:FUNCTION``, whose file is executed; with variants
            and settings (`tasks.training.recipe_settings`), each after a ``+``.

    Raises:
        ConfigError: no such recipe, variant or setting, or a value that does not fit.
    """
    file, own, rest = name.partition(_OWN)
    base, *parts = rest.split("+") if own else name.split("+")
    variants = [part for part in parts if "=" not in part]
    settings = dict(part.split("=", 1) for part in parts if "=" in part)
    if own:
        path = Path(f"{file}.py").expanduser().absolute()  # later runs start in other folders
        recipe = with_variants(_own_recipe(path, base), variants)
        name = f"{path}:{rest}"
    else:
        recipe = recipe_named("+".join([base, *variants]))
    return replace(with_settings(recipe, settings), name=name)


def name_with(recipe: str, settings: Mapping[str, object]) -> str:
    """Return the name of a recipe with some settings changed; those that are None are left out.

    Raises:
        ConfigError: a value with a ``+``, which would begin the next part, other than a loss.
    """
    given = {key: str(value) for key, value in settings.items() if value is not None}
    if "loss" in given:
        given["loss"] = given["loss"].replace("+", "_")
    for key, text in given.items():
        if "+" in text:
            raise ConfigError(f"{key} is {text!r}, expected a value without '+': rename the folder")
    return "+".join([recipe, *(f"{key}={text}" for key, text in given.items())])


def encoder_settings(text: str | None, vision: str | None) -> dict[str, str | None]:
    """Return the settings that name encoders; a folder's name does not depend on where one is."""
    named = {"text.encoder": text, "vision.encoder": vision}
    return {
        key: str(Path(found).absolute()) if found and Path(found).exists() else found
        for key, found in named.items()
    }


def _own_recipe(path: Path, function: str) -> Recipe:
    """Return the recipe that a function of a Python file returns.

    Raises:
        ConfigError: the file cannot be executed, or the function does not return a recipe.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file, expected a recipe of your own, FILE.py:FUNCTION")
    spec = importlib.util.spec_from_file_location(f"emi_own_recipe_{path.stem}", path)
    assert spec is not None, "the suffix is .py"
    assert spec.loader is not None, "the suffix is .py"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found = getattr(module, function, None)
        recipe = found() if callable(found) else found
    except EmiError as error:
        raise ConfigError(f"{path}: {error}") from error
    except Exception as error:
        raise ConfigError(f"{path}: {function}: {type(error).__name__}: {error}") from error
    if not isinstance(recipe, Recipe):
        raise ConfigError(
            f"{path}: {function!r} gives {type(recipe).__name__}, expected a function that returns "
            "an emi_model.training.recipes.Recipe"
        )
    return recipe
