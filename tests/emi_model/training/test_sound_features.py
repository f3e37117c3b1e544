"""A graph of sets of features of the sound, trained, and scored on any subset of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from emi_model.audio.features.bags import bags_of_words
from emi_model.audio.features.functionals import functionals
from emi_model.audio.features.mfcc import mfcc
from emi_model.modalities import SOUND_RATES
from emi_model.predict import Predictor, Scores
from emi_model.training.clips import LabelledClip
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import graph_ser, recipe_named
from tests.emi_model.audio.features.test_pitch import voice

SETS = {"mfcc": mfcc, "functionals": functionals, "bag_of_words": bags_of_words}
SUBSETS = [some for count in (1, 2, 3) for some in combinations(SETS, count)]


def voices(num_clips: int, seed: int) -> list[LabelledClip]:
    """Return clips of 0.3 to 0.6 s of a voice, whose label is its pitch."""
    rng = np.random.default_rng(seed)
    clips = []
    for index in range(num_clips):
        height = rng.uniform()
        waveform = voice(100 * 2**height, rng.uniform(0.3, 0.6))
        waveform = waveform * rng.uniform(0.2, 1) + 0.01 * rng.standard_normal(len(waveform))
        inputs = {name: measure(waveform) for name, measure in SETS.items()}
        clips.append(LabelledClip(f"{index}.wav", inputs, np.array([height], np.float32)))
    return clips


def test_a_graph_learns_pitch_and_scores_any_subset() -> None:
    recipe = graph_ser()
    assert recipe.train.loss == "ccc"
    train = replace(recipe.train, epochs=12, batch_size=8, ema_decay=None)
    model = from_scratch(recipe, ("Height",))
    fit(model, voices(24, 0), voices(4, 1), train, device="cpu")
    held_out = voices(8, 2)
    predictor = Predictor(model, device="cpu", precision="fp32")
    found = predictor([clip.inputs for clip in held_out])
    heights = np.array([clip.emi[0] for clip in held_out])
    scores = [one.emi[0] for one in found if isinstance(one, Scores) and one.emi is not None]
    assert np.corrcoef(scores, heights)[0, 1] > 0.8

    some = [
        {name: clip.inputs[name] for name in SUBSETS[place % len(SUBSETS)]}
        for place, clip in enumerate(held_out)
    ]
    for clip, together in zip(some, predictor(some), strict=True):
        (alone,) = predictor([clip])
        assert isinstance(alone, Scores)
        assert isinstance(together, Scores)
        assert together.emi == pytest.approx(alone.emi, abs=1e-5)


def test_branches_take_what_the_sets_give() -> None:
    recipe = recipe_named("paper_small+egemaps+mfcc+functionals+bag_of_words+graph")
    branches = recipe.model.branches
    assert list(branches) == ["audio", "egemaps", *SETS]
    for name, measure in SETS.items():
        assert measure(np.zeros(16_000)).shape[1] == branches[name]["num_values"]
        assert branches[name]["rate"] == SOUND_RATES[name]
    assert branches["egemaps"]["num_values"] == 88
    assert recipe_named("graph_ser+mfcc").model == graph_ser().model
