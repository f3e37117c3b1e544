"""Recipes of the comparison: small models on features that are computed once for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emi_model.audio.augment import Augmentation
from emi_model.modalities import TRANSCRIPT, VISION
from emi_model.training.named.demo_all import SMALL_BRANCHES
from emi_model.training.recipes import Recipe, demo_all
from tests.benchmarks.three_recipes import FUNCTIONALS, VOICE, WORDS

MFCC = {"kind": "series", "num_values": 39, "rate": 100.0, "projection": 32, "dropout": 0.2}
AUDIO_WORDS = {"kind": "series", "num_values": 256, "projection": 48, "dropout": 0.2}
OPTIONAL = {"optional": True}


def _of(branches: Mapping[str, Mapping[str, Any]], epochs: int) -> Recipe:
    whole = demo_all()
    train = replace(
        whole.train,
        epochs=epochs,
        keep="best",
        augmentation=Augmentation(),
        modality_dropout=0.1,
        folds=3,
    )
    model = replace(whole.model, branches={name: dict(own) for name, own in branches.items()})
    return replace(whole, train=train, model=model, filterbank=False)


def voice_words_face() -> Recipe:
    """Statistics of the voice, MiniLM's states of the words, a small network over the face."""
    branches = {
        FUNCTIONALS: VOICE,
        TRANSCRIPT: WORDS,
        VISION: SMALL_BRANCHES[VISION],
    }
    return _of(branches, epochs=30)


def voice() -> Recipe:
    """Three sets of features of the same voice."""
    return _of_sound({FUNCTIONALS: VOICE, "mfcc": MFCC, "bag_of_words": AUDIO_WORDS})


def numbers() -> Recipe:
    """The same, as if another program had computed them."""
    return _of_sound({"statistics": VOICE, "cepstra": MFCC, "words": {**AUDIO_WORDS, "rate": 2.0}})


def _of_sound(branches: Mapping[str, Mapping[str, Any]]) -> Recipe:
    optional = {name: {**own, **OPTIONAL} for name, own in branches.items()}
    return _of(optional, epochs=40)
