"""The recipe of a graph of sets of features of the sound, and variants that add such a set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from emi_model.architecture.config import KIND, OPTIONAL, SERIES, EmiConfig
from emi_model.audio.features.bags import NUM_AUDIO_WORDS
from emi_model.audio.features.functionals import FUNCTIONALS
from emi_model.audio.features.mfcc import NUM_MFCC
from emi_model.modalities import SOUND_RATES
from emi_model.training.config import TrainConfig
from emi_model.training.named.recipe import Recipe

SOUND_SIZES: Mapping[str, int] = {
    "mfcc": NUM_MFCC,
    "functionals": len(FUNCTIONALS),
    "bag_of_words": NUM_AUDIO_WORDS,
    "egemaps": 88,
}
"""Values of an entry of each set of features."""


def graph_ser() -> Recipe:
    """Return the recipe of a graph of three sets of features (after arXiv 2406.07437).

    MFCC, functionals and bags of audio words are the nodes; 1 - CCC is the loss, as in the paper,
    whose sizes and settings are not published. Trained from scratch; the last weights are kept.
    """
    train = TrainConfig(
        epochs=40,
        batch_size=32,
        learning_rate=2e-3,
        weight_decay=0.01,
        warmup_epochs=2.0,
        loss="ccc",
        clip_norm=1.0,
        modality_dropout=0.1,
        ema_decay=0.98,
        keep="last",
        seed=1,
    )
    names = ("mfcc", "functionals", "bag_of_words")
    model = EmiConfig(
        vad_head=False,
        branches={name: series_of_sound(name, dropout=0.3) for name in names},
        fusion={"name": "graph", "lstm_layers": 1, "dropout": 0.3},
    )
    return Recipe("graph_ser", train, model)


def series_of_sound(modality: str, *, dropout: float = 0.0) -> dict[str, Any]:
    """Return the arguments of the branch of a set of features, which a clip may lack.

    Args:
        modality: the set's name.
        dropout: of its values.
    """
    return {
        KIND: SERIES,
        OPTIONAL: True,
        "num_values": SOUND_SIZES[modality],
        "rate": SOUND_RATES[modality],
        "dropout": dropout,
    }


def sound_features_variant(modality: str) -> Callable[[Recipe], Recipe]:
    """Return the variant that adds a set of features to a recipe's branches, if it lacks it."""

    def variant(recipe: Recipe) -> Recipe:
        if modality in recipe.model.branches:
            return recipe
        branches = {**recipe.model.branches, modality: series_of_sound(modality)}
        return replace(recipe, model=replace(recipe.model, branches=branches))

    variant.__doc__ = f"Take {modality} of the sound, too (`emi_model.audio.features`)."
    return variant
