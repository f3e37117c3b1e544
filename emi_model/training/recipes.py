"""Recipes: named functions that return a complete training, architecture and settings.

A name is a recipe's, with variants added by ``+``: ``paper``, ``paper+mse_ccc``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import MappingProxyType

from emi_model.errors import ConfigError
from emi_model.training.named.audio import PUBLIC_VAD_MODEL, debug, demo, paper, paper_small
from emi_model.training.named.demo_all import demo_all
from emi_model.training.named.recipe import Recipe
from emi_model.training.named.several import (
    all_modalities,
    audio_text,
    features,
    semantic_matters,
    text,
)
from emi_model.training.named.sound_features import (
    SOUND_SIZES,
    graph_ser,
    sound_features_variant,
)
from emi_model.training.named.variants import (
    augmented,
    binomial,
    bucketed,
    ema,
    frozen_backbone,
    frozen_conv,
    fusion_variant,
    loss_variant,
    mixup,
    modality_dropout,
    rater_weights,
    spec_augment,
    vad,
)
from emi_model.training.objective.losses import BINOMIAL, LOSSES

__all__ = [
    "PUBLIC_VAD_MODEL",
    "RECIPES",
    "VARIANTS",
    "Recipe",
    "all_modalities",
    "audio_text",
    "debug",
    "demo",
    "demo_all",
    "features",
    "graph_ser",
    "paper",
    "paper_small",
    "recipe_named",
    "semantic_matters",
    "text",
    "with_variants",
]

FUSIONS = (
    *("concat", "late", "gated"),
    *("tensor", "low_rank", "clip"),
    *("pooled", "text_anchored", "vilbert", "jmt"),
    "graph",
)
"""Fusions that are variants of any recipe."""

RECIPES: MappingProxyType[str, Callable[[], Recipe]] = MappingProxyType(
    {
        **{function.__name__: function for function in (paper, paper_small, debug, demo, demo_all)},
        **{
            function.__name__: function
            for function in (semantic_matters, text, audio_text, features, graph_ser)
        },
        "all": all_modalities,
    }
)
"""Recipes by the names that flags use."""

VARIANTS: MappingProxyType[str, Callable[[Recipe], Recipe]] = MappingProxyType(
    {
        **{
            loss.replace("+", "_"): loss_variant(loss)
            for loss in sorted(LOSSES)
            if loss != BINOMIAL
        },
        **{
            function.__name__: function
            for function in (
                frozen_conv,
                ema,
                vad,
                spec_augment,
                augmented,
                mixup,
                rater_weights,
                binomial,
                bucketed,
                modality_dropout,
                frozen_backbone,
            )
        },
        **{name: fusion_variant(name) for name in FUSIONS},
        **{name: sound_features_variant(name) for name in SOUND_SIZES},
    }
)
"""Variants by the names that follow a ``+``."""


def recipe_named(name: str) -> Recipe:
    """Return the recipe of a name such as ``paper+mse_ccc``.

    Raises:
        ConfigError: no recipe or variant of that name.
    """
    base, *variants = name.split("+")
    if base not in RECIPES:
        raise ConfigError(f"found no recipe {base!r}, expected one of {', '.join(RECIPES)}")
    return replace(with_variants(RECIPES[base](), variants), name=name)


def with_variants(recipe: Recipe, variants: Iterable[str]) -> Recipe:
    """Return a recipe with variants added.

    Raises:
        ConfigError: no variant of that name.
    """
    for variant in variants:
        if variant not in VARIANTS:
            raise ConfigError(
                f"found no variant {variant!r}, expected one of {', '.join(VARIANTS)}"
            )
        recipe = VARIANTS[variant](recipe)
    return recipe
