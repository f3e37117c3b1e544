"""Models that hear, read and see, with random weights, and clips of all that they can take."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch

from emi_model.architecture.branch import ClipInputs
from emi_model.architecture.config import OPTIONAL, EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.arrays import Array
from emi_model.audio.waveform import Int16Waveform
from emi_model.modalities import AUDIO, FACES_PER_SECOND, TRANSCRIPT, VISION
from emi_model.speed.gpu.stage import Stage, sounds
from emi_model.speed.measure import HEAD_SIZE
from emi_model.units import samples_to_seconds

FUSIONS_CHECKED = ("concat", "text_anchored", "gated")

ALL = (AUDIO, TRANSCRIPT, VISION)

SUBSETS = tuple(some for count in (1, 2, 3) for some in combinations(ALL, count))
"""Of what a clip may have: any, but not nothing."""

CROP_SIDE = 112
"""Pixels of a face as it is cut out of a video, width and height."""

WORDS_PER_SECOND = 2.5
NUM_WORDS = 5_000
PATCH = 16


def several_model(
    stage: Stage, fusion: str, modalities: Collection[str] = ALL, *, trained: bool = True
) -> EmiModel:
    """Return a model of some modalities, each of them optional; its weights are always the same.

    The words' encoder has the shapes of BERT-base, the faces' those of ViT-base, or small ones.

    Args:
        stage: says how large it is.
        fusion: by name.
        modalities: of the model.
        trained: training changes the two encoders, too.
    """
    given = {AUDIO: {}, TRANSCRIPT: _reading(stage), VISION: _seeing(stage)}
    for name in (TRANSCRIPT, VISION):
        given[name]["trained"] = trained
    branches = {name: {OPTIONAL: True, **given[name]} for name in ALL if name in modalities}
    config = replace(stage.model().config, branches=branches, fusion={"name": fusion})
    return model_of(config)


def model_of(config: EmiConfig) -> EmiModel:
    """Return a new model in evaluation mode; its weights are the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return EmiModel(config).eval()


def _shapes(stage: Stage) -> dict[str, Any]:
    hidden = stage.sizes.encoder_hidden
    return {
        "hidden_size": hidden,
        "num_hidden_layers": stage.sizes.encoder_layers,
        "num_attention_heads": hidden // HEAD_SIZE,
        "intermediate_size": 4 * hidden,
    }


def _reading(stage: Stage) -> dict[str, Any]:
    """Return the arguments of a branch that reads words without a tokenizer's file."""
    return {"encoder": {"model_type": "bert", **_shapes(stage)}, "tokens": "words"}


def _seeing(stage: Stage) -> dict[str, Any]:
    side = stage.sizes.picture_side
    encoder = {"model_type": "vit", "image_size": side, "patch_size": PATCH, **_shapes(stage)}
    return {"encoder": encoder, "processor": {"size": side}}


def clips_with(
    modalities: Collection[str], waveforms: Sequence[Int16Waveform], seed: int = 0
) -> list[ClipInputs]:
    """Return clips with some modalities: these waveforms, made-up words, coloured faces.

    Args:
        modalities: that each of them has.
        waveforms: of each clip; its words and faces are as many as a person says and shows
            meanwhile.
        seed: of words and faces.
    """
    draw = np.random.default_rng(seed)
    clips: list[ClipInputs] = []
    for waveform in waveforms:
        seconds = samples_to_seconds(len(waveform))
        inputs = {
            AUDIO: waveform,
            TRANSCRIPT: _said(max(1, round(WORDS_PER_SECOND * seconds)), draw),
            VISION: _shown(max(1, round(FACES_PER_SECOND * seconds)), draw),
        }
        clips.append({name: inputs[name] for name in ALL if name in modalities})
    return clips


def clips_of_all_subsets(stage: Stage) -> list[ClipInputs]:
    """Return clips, as many with each subset of the modalities, of several lengths."""
    copies, longest = stage.sizes.subset_copies, stage.sizes.subset_seconds
    clips: list[ClipInputs] = []
    for seed, subset in enumerate(SUBSETS):
        clips += clips_with(subset, sounds(longest * np.linspace(0.2, 1, copies), seed), seed)
    return clips


def _said(num_words: int, draw: np.random.Generator) -> Array:
    """Return the bytes of a text, uint8 (N,)."""
    words = (f"word{number}" for number in draw.integers(0, NUM_WORDS, num_words))
    return np.frombuffer(" ".join(words).encode(), np.uint8)


def _shown(num_frames: int, draw: np.random.Generator) -> Array:
    """Return crops, uint8 (N, side, side, 3): patches of colour that change a little."""
    patches = draw.integers(30, 226, (1, 7, 7, 3)) + draw.integers(-30, 31, (num_frames, 7, 7, 3))
    side = CROP_SIDE // patches.shape[1]
    return patches.clip(1, 255).astype(np.uint8).repeat(side, axis=1).repeat(side, axis=2)
