"""First weights: what is taken from another model is taken exactly, the rest hangs on the seed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import LoadedModel, load_checkpoint, save_checkpoint
from emi_model.errors import CheckpointError, ConfigError
from emi_model.targets import EMI_TARGETS
from emi_model.training.config import TrainConfig
from emi_model.training.first_weights import from_backbone, from_model, from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import Recipe, recipe_named
from tests.emi_model.architecture.tiny_encoders import tiny_text_encoder
from tests.emi_model.training.noisy_clips import noisy_clips

Build = Callable[..., EmiModel]
Save = Callable[..., LoadedModel]

TARGETS = ("Noise", "Tone")


@pytest.fixture
def saved(tiny_model: Build, tmp_path: Path) -> Save:
    """Return a function that saves a tiny model and gives it back as it is loaded."""

    def save(**fields: Any) -> LoadedModel:
        model = tiny_model(**fields)
        card = ModelCard(name="tiny", targets=model.config.targets)
        save_checkpoint(tmp_path / "tiny", model, card)
        return load_checkpoint(tmp_path / "tiny")

    return save


def seeded(recipe: Recipe, seed: int) -> Recipe:
    return replace(recipe, train=replace(recipe.train, seed=seed))


def state_of(model: EmiModel, prefix: str = "") -> dict[str, torch.Tensor]:
    return {name: w for name, w in model.state_dict().items() if name.startswith(prefix)}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_weights_from_scratch_hang_on_the_seed_alone() -> None:
    recipe = recipe_named("debug")
    first = from_scratch(recipe, TARGETS)
    torch.manual_seed(7)
    assert equal(state_of(from_scratch(recipe, TARGETS)), state_of(first))
    assert not equal(state_of(from_scratch(seeded(recipe, 2), TARGETS)), state_of(first))
    assert first.config == replace(recipe.model, targets=TARGETS)


def test_the_backbone_and_the_head_are_taken_and_the_fusion_is_new(saved: Save) -> None:
    recipe = recipe_named("debug")
    start = saved(targets=())
    model = from_backbone(recipe, TARGETS, start)
    assert equal(state_of(model, "backbone."), state_of(start.model, "backbone."))
    assert equal(state_of(model, "vad_head."), state_of(start.model, "vad_head."))
    rest = {n for n in model.state_dict() if not n.startswith(("backbone.", "vad_head."))}
    assert rest == set(state_of(model, "fusion."))
    assert rest
    assert model.config.targets == TARGETS
    assert model.config.hidden_size == start.model.config.hidden_size
    torch.manual_seed(7)
    again, other = (from_backbone(seeded(recipe, seed), TARGETS, start) for seed in (1, 2))
    assert equal(state_of(again), state_of(model))
    assert equal(state_of(other, "backbone."), state_of(model, "backbone."))
    assert not equal(state_of(other, "fusion."), state_of(model, "fusion."))


def test_training_leaves_the_model_it_started_from_alone(saved: Save) -> None:
    recipe = recipe_named("debug")
    start = saved(targets=())
    before = {name: weight.clone() for name, weight in start.model.state_dict().items()}
    model = from_backbone(recipe, TARGETS, start)
    fit(model, noisy_clips(4), noisy_clips(3, seed=1), recipe.train, device="cpu")
    assert equal(state_of(start.model), before)
    assert not equal(state_of(model, "backbone."), state_of(start.model, "backbone."))


def test_a_fusion_is_never_taken_from_another_model(saved: Save) -> None:
    start = saved(targets=TARGETS)
    model = from_backbone(recipe_named("debug"), TARGETS, start)
    assert not equal(state_of(model, "fusion."), state_of(start.model, "fusion."))


def test_switches_are_the_recipes_and_masks_too_where_it_names_some(saved: Save) -> None:
    start = saved(targets=(), backbone={"apply_spec_augment": True, "mask_time_prob": 0.25})
    small = recipe_named("debug")
    small = replace(small, model=replace(small.model, lstm=False, clip_seconds=3.0))
    calm = from_backbone(small, TARGETS, start).config
    assert (calm.lstm, calm.clip_seconds) == (False, 3.0)
    assert calm.backbone["apply_spec_augment"] is False
    silent = from_backbone(recipe_named("paper"), EMI_TARGETS, start).config
    assert dict(silent.backbone) == dict(start.model.config.backbone)
    masked = from_backbone(recipe_named("paper+spec_augment"), EMI_TARGETS, start).config
    assert masked.backbone["mask_time_prob"] == 0.065
    assert masked.backbone["hidden_size"] == start.model.config.hidden_size


def test_a_model_without_a_vad_head_is_refused(saved: Save) -> None:
    start = saved(targets=TARGETS, vad_head=False)
    with pytest.raises(CheckpointError, match=r"tiny: 4 weights are missing.*vad_head\.dense"):
        from_backbone(recipe_named("debug"), TARGETS, start)


def test_a_recipe_without_a_vad_head_needs_none(saved: Save) -> None:
    start = saved(targets=TARGETS, vad_head=False)
    recipe = recipe_named("debug")
    recipe = replace(recipe, model=replace(recipe.model, vad_head=False))
    model = from_backbone(recipe, TARGETS, start)
    assert equal(state_of(model, "backbone."), state_of(start.model, "backbone."))
    assert model.audio.vad_head is None


def test_a_trained_model_goes_on_as_it_is(saved: Save) -> None:
    start = saved(targets=TARGETS)
    before = {name: weight.clone() for name, weight in start.model.state_dict().items()}
    model = from_model(TARGETS, start)
    assert equal(state_of(model), before)
    assert model.config == start.model.config


@pytest.mark.parametrize("targets", [("Tone", "Noise"), ("Noise",), ("Noise", "Tone", "Hum")])
def test_a_trained_model_of_other_targets_is_refused(saved: Save, targets: tuple[str, ...]) -> None:
    with pytest.raises(CheckpointError, match=r"tiny has targets .*start from the backbone"):
        from_model(targets, saved(targets=TARGETS))


def test_an_encoder_that_a_recipe_refers_to_is_loaded(tmp_path: Path, saved: Save) -> None:
    folder = tiny_text_encoder(tmp_path / "bert")
    recipe = recipe_named("debug")
    text = {"encoder": str(folder), "trained": False, "optional": True, "tokens": "words"}
    both = replace(recipe, model=replace(recipe.model, branches={"audio": {}, "text": text}))
    alone = replace(recipe, model=replace(recipe.model, branches={"text": text}))
    given = load_file(folder / "model.safetensors")
    for made in (
        from_scratch(both, TARGETS),
        from_scratch(replace(alone, filterbank=True), TARGETS),
        from_backbone(both, TARGETS, saved()),
    ):
        state = made.state_dict()
        encoder = "branches.text.encoder."
        assert all(torch.equal(state[encoder + name], weight) for name, weight in given.items())
        arguments = made.config.branches["text"]
        assert arguments["encoder"]["model_type"] == "bert"
        assert "tokens" not in arguments
        save_checkpoint(tmp_path / "made", made, ModelCard("made", TARGETS))
        (folder / "config.json").rename(folder / "hidden.json")  # the checkpoint is complete
        loaded = load_checkpoint(tmp_path / "made").model
        (folder / "hidden.json").rename(folder / "config.json")
        words = np.frombuffer(b"so glad to see you", np.uint8)
        prepared = loaded.specs["text"].prepare(words)
        assert prepared.tolist() == [1, 4, 5, 6, 7, 8, 2]
    with pytest.raises(ConfigError, match="name a folder or hub id with --text-encoder"):
        EmiModel(both.model)


def test_a_frozen_backbone_stays_and_what_follows_it_learns(
    tiny_model: Callable[..., EmiModel],
) -> None:
    model = tiny_model(targets=TARGETS, branches={"audio": {"trained": False}})
    before = copy.deepcopy(model.state_dict())
    clips = noisy_clips(6)
    fit(model, clips, clips, TrainConfig(epochs=2, batch_size=3, learning_rate=1e-2))
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name]) == name.startswith("backbone."), name
