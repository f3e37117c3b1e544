"""Voice, words and faces: each fusion trained, saved, loaded, and scored on any subset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.arrays import Array
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.predict import Predictor, Scores
from emi_model.training.clips import LabelledClip
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import FUSIONS, Recipe, debug, with_variants
from tests.emi_model.architecture.tiny_encoders import (
    TEXT_BRANCHES,
    VISION_BRANCHES,
    WORDS,
)

TARGETS = ("Awe", "Calm")
BRANCHES = {
    "audio": {},
    "text": TEXT_BRANCHES["hashed_words"],
    "vision": VISION_BRANCHES["small_conv"],
}
SUBSETS = [some for count in (1, 2, 3) for some in combinations(BRANCHES, count)]


def clips_of(num_clips: int, seed: int) -> list[LabelledClip]:
    """Return clips whose voice, words and faces are noise; the subsets of modalities by turns."""
    rng = np.random.default_rng(seed)
    clips = []
    for index in range(num_clips):
        inputs: Mapping[str, Array] = {
            "audio": (3000 * rng.standard_normal(int(rng.integers(800, 4000)))).astype(np.int16),
            "text": np.frombuffer(" ".join(rng.choice(WORDS, 5)).encode(), np.uint8),
            "vision": rng.integers(1, 255, (int(rng.integers(1, 5)), 112, 112, 3), np.uint8),
        }
        present = SUBSETS[index % len(SUBSETS)]
        labels = (rng.integers(0, 5, 2) / 4).astype(np.float32)
        own = {name: inputs[name] for name in present}
        clips.append(LabelledClip(f"{index}.mp4", own, labels, speaker=f"s{index % 3}"))
    return clips


def recipe_of(fusion: str | None, modalities: tuple[str, ...], *variants: str) -> Recipe:
    optional = {name: {**BRANCHES[name], "optional": True} for name in modalities}
    recipe = debug()
    model: EmiConfig = replace(
        recipe.model, branches=optional, fusion=None if fusion is None else {"name": fusion}
    )
    train = replace(recipe.train, epochs=1, warmup_epochs=0.0, folds=2, modality_dropout=0.2)
    return with_variants(replace(recipe, model=model, train=train), variants)


@pytest.mark.parametrize(
    ("fusion", "modalities", "variants"),
    [
        *((fusion, tuple(BRANCHES), ()) for fusion in (None, *FUSIONS)),
        ("late", tuple(BRANCHES), ("binomial",)),
        ("concat", ("text", "vision"), ("rater_weights", "mse_pearson")),
        ("gated", ("audio", "text"), ("ema",)),
    ],
)
def test_trained_saved_loaded_and_scored_on_any_subset(
    fusion: str | None, modalities: tuple[str, ...], variants: tuple[str, ...], tmp_path: Path
) -> None:
    recipe = recipe_of(fusion, modalities, *variants)
    if "audio" not in modalities:
        recipe = replace(recipe, train=replace(recipe.train, vad_loss_weight=0.0))
    model = from_scratch(recipe, TARGETS)
    first = {name: weight.clone() for name, weight in model.state_dict().items()}

    def some(num_clips: int, seed: int) -> list[LabelledClip]:
        found = clips_of(num_clips, seed)
        return [clip for clip in found if set(clip.inputs) & set(modalities)]

    result = fit(model, some(14, 0), some(7, 1), recipe.train, device="cpu")
    assert np.isfinite(result.history[-1].train_loss)
    changed = {
        name.split(".")[0] if not name.startswith("branches.") else name.split(".")[1]
        for name, weight in model.state_dict().items()
        if not torch.equal(first[name], weight)
    }
    assert {"fusion", *modalities} - {"audio"} <= changed
    assert ("backbone" in changed) == ("audio" in modalities)

    save_checkpoint(tmp_path / "model", model, ModelCard("tiny", TARGETS))
    loaded = load_model(str(tmp_path / "model"))
    assert loaded.model.config == model.config
    predictor = Predictor(loaded.model, device="cpu", precision="fp32")
    clips = [
        {name: values for name, values in clip.inputs.items() if name in modalities}
        for clip in some(14, 2)
    ]
    together = predictor(clips)
    before = Predictor(model, device="cpu", precision="fp32")(clips)
    for clip, scores, same in zip(clips, together, before, strict=True):
        (alone,) = predictor([clip])
        assert isinstance(scores, Scores)
        assert isinstance(alone, Scores)
        assert isinstance(same, Scores)
        assert scores.emi == pytest.approx(alone.emi, abs=1e-5)
        assert scores.emi == pytest.approx(same.emi, abs=1e-6)
        assert (scores.vad_mean is None) == ("audio" not in clip)
        if recipe.model.output == "sigmoid":
            assert scores.emi is not None
            assert 0 < scores.emi.min() < scores.emi.max() < 1
