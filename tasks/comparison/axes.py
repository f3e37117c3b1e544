"""The grid of a comparison: recipes x branches x fusions x losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from emi_model.architecture.config import OPTIONAL
from emi_model.architecture.fusions.fusion import FUSION_NAME
from emi_model.architecture.fusions.registry import PAPER, fusion_class
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO
from emi_model.training.objective.losses import LOSSES
from emi_model.training.recipes import FUSIONS, Recipe, with_variants
from tasks.training.recipe_names import chosen_recipe, name_with

ALL_FUSIONS = "all"
"""In place of fusions' names: every fusion of this project."""

BRANCH_SIGN = "+"


@dataclass(frozen=True)
class Axes:
    """What is varied; an axis without entries is as each recipe has it.

    Attributes:
        recipes: names, as `tasks.training.recipe_names` has them.
        branches: subsets of the recipes' modalities, as ``audio+text``.
        fusions: names, each with arguments as in ``low_rank:rank=4,size=32``; or `ALL_FUSIONS`.
        losses: names of losses, as ``mse+pearson`` or ``mse_pearson``.
        settings: by key, of all recipes.
    """

    recipes: Sequence[str] = ("paper",)
    branches: Sequence[str] = ()
    fusions: Sequence[str] = ()
    losses: Sequence[str] = ()
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """A point of the grid.

    Attributes:
        recipe: the complete recipe.
        base: name of the recipe that was varied.
        branches: its modalities, joined by `BRANCH_SIGN`.
        fusion: name of its fusion, with arguments that are not the usual ones.
        loss: name of its loss.
    """

    recipe: Recipe
    base: str
    branches: str
    fusion: str
    loss: str

    @property
    def labels(self) -> tuple[str, str, str, str]:
        """What it is on each axis."""
        return self.base, self.branches, self.fusion, self.loss


def variants_of(
    axes: Axes, widened: Callable[[Recipe], Recipe] = lambda recipe: recipe
) -> list[Variant]:
    """Return the points of a grid, the last axis varying fastest; equal ones stand once.

    Args:
        axes: what is varied.
        widened: adds to each recipe before anything is varied, such as features that are given.

    Raises:
        ConfigError: no such recipe, setting, fusion or loss, or a modality that a recipe lacks.
    """
    recipes = [widened(chosen_recipe(name_with(name, axes.settings))) for name in axes.recipes]
    names: list[str | None] = list(axes.fusions) or [None]
    if ALL_FUSIONS in names:
        names = [PAPER, *FUSIONS, *(name for name in names if name != ALL_FUSIONS)]
    found: dict[tuple[str, ...], Variant] = {}
    for (base, recipe), branches, fusion, loss in product(
        zip(axes.recipes, recipes, strict=True),
        axes.branches or (None,),
        names,
        axes.losses or (None,),
    ):
        varied = _with_loss(_with_fusion(_with_branches(recipe, branches), fusion), loss)
        variant = _variant(base, varied)
        found.setdefault(variant.labels, variant)
    return list(found.values())


def short_names(variants: Sequence[Variant]) -> list[str]:
    """Return a name of each: what it is on the axes that vary; its fusion if none does."""
    columns = list(zip(*(variant.labels for variant in variants), strict=True))
    varying = [place for place, column in enumerate(columns) if len(set(column)) > 1] or [2]
    return [" · ".join(variant.labels[place] for place in varying) for variant in variants]


def without_modality(recipe: Recipe, modality: str) -> Recipe:
    """Return a recipe without one of its branches, and without what only that branch needs."""
    model = recipe.model
    branches = {name: own for name, own in model.branches.items() if name != modality}
    fusion = None if model.fusion is None else dict(model.fusion)
    if fusion and "lstm_sizes" in fusion:
        sizes = {name: size for name, size in fusion["lstm_sizes"].items() if name != modality}
        fusion["lstm_sizes"] = sizes
    needs_all = all(not own.get(OPTIONAL) for own in branches.values())
    train = replace(
        recipe.train,
        vad_loss_weight=recipe.train.vad_loss_weight if AUDIO in branches else 0.0,
        modality_dropout=0.0 if needs_all else recipe.train.modality_dropout,
    )
    return replace(recipe, model=replace(model, branches=branches, fusion=fusion), train=train)


def fusion_of(text: str) -> dict[str, Any]:
    """Return a fusion's name and arguments from text such as ``low_rank:rank=4,size=32``.

    Raises:
        ConfigError: an argument without a value.
    """
    name, _, arguments = text.partition(":")
    found: dict[str, Any] = {FUSION_NAME: name.strip()}
    for part in filter(None, arguments.split(",")):
        key, sign, value = part.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"fusion is {text!r}, expected NAME or NAME:ARGUMENT=VALUE,...")
        found[key.strip()] = _plain_value(value.strip())
    return found


def _variant(base: str, recipe: Recipe) -> Variant:
    branches = BRANCH_SIGN.join(recipe.model.branches)
    given = dict(recipe.model.fusion or {FUSION_NAME: PAPER})
    fusion = str(given.pop(FUSION_NAME))
    arguments = ",".join(f"{key}={value}" for key, value in given.items() if value != {})
    label = f"{fusion}:{arguments}" if arguments else fusion
    return Variant(recipe, base, branches, label, recipe.train.loss)


def _with_branches(recipe: Recipe, wanted: str | None) -> Recipe:
    if wanted is None:
        return recipe
    names = {name.strip() for name in wanted.replace(",", BRANCH_SIGN).split(BRANCH_SIGN)}
    own = recipe.model.branches
    if not names <= own.keys():
        raise ConfigError(
            f"found branches {wanted!r}, expected some of {', '.join(own)}, which recipe "
            f"{recipe.name!r} has"
        )
    for name in own:
        if name not in names:
            recipe = without_modality(recipe, name)
    return recipe


def _with_fusion(recipe: Recipe, wanted: str | None) -> Recipe:
    if wanted is None:
        return recipe
    fusion = fusion_of(wanted)
    own = None if fusion == {FUSION_NAME: PAPER} else fusion
    varied = replace(recipe, model=replace(recipe.model, fusion=own))
    fusion_class(varied.model)  # a name that is none is refused before anything is trained
    return varied


def _with_loss(recipe: Recipe, wanted: str | None) -> Recipe:
    if wanted is None:
        return recipe
    name = wanted.replace("_", "+")
    if name not in LOSSES:
        raise ConfigError(f"found loss {wanted!r}, expected one of {', '.join(sorted(LOSSES))}")
    return with_variants(recipe, [name.replace("+", "_")])


def _plain_value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
