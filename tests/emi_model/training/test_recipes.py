from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emi_model.architecture.backbones.registry import backbone_config
from emi_model.architecture.model import EmiModel
from emi_model.errors import ConfigError
from emi_model.training.config import TrainConfig
from emi_model.training.named.sound_features import SOUND_SIZES, series_of_sound
from emi_model.training.objective.losses import LOSSES
from emi_model.training.recipes import (
    FUSIONS,
    PUBLIC_VAD_MODEL,
    RECIPES,
    VARIANTS,
    Recipe,
    debug,
    demo,
    paper,
    recipe_named,
    semantic_matters,
)


def test_the_papers_recipe_to_the_letter() -> None:
    recipe = paper().train
    assert (recipe.loss, recipe.epochs, recipe.batch_size) == ("mse", 30, 32)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.warmup_epochs) == (1e-4, 0.01, 1.0)
    assert (recipe.clip_value, recipe.clip_norm) == (100.0, None)
    assert (recipe.mixed_precision, recipe.seed, recipe.keep) == (True, 1, "best")
    assert (recipe.crop_seconds, recipe.ema_decay, recipe.vad_loss_weight) == (None, None, 0.0)


def test_semantic_matters_to_the_letter() -> None:
    recipe = semantic_matters()
    train, paper_train = recipe.train, paper().train
    assert train == replace(paper_train, seed=3407)
    assert recipe.model.clip_seconds == 12.0
    assert recipe.model.fusion == {"name": "concat", "lstm_sizes": {"vision": 768}}
    assert recipe.model.branches["text"]["encoder"] == "Alibaba-NLP/gte-en-mlm-base"
    vision = recipe.model.branches["vision"]
    assert (vision["encoder"], vision["trained"]) == ("google/vit-huge-patch14-224-in21k", False)


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("semantic_matters", {"audio": True, "vision": False, "text": False}),
        ("text", {"text": True}),
        ("audio_text", {"audio": False, "text": False}),
        ("all", {"audio": False, "text": False, "vision": False}),
    ],
)
def test_what_a_recipe_needs_of_a_clip(name: str, needs: dict[str, bool]) -> None:
    recipe = recipe_named(name)
    assert recipe.model.needs == needs
    assert (recipe.backbone is None) == ("audio" not in needs)
    assert bool(recipe.train.modality_dropout) == (name in ("audio_text", "all"))


def test_the_demo_keeps_the_last_epoch_so_that_nothing_peeks() -> None:
    assert RECIPES["demo"]().train.keep == "last"


def test_the_demos_model_has_every_part_of_the_papers() -> None:
    config = demo().model
    model = EmiModel(config)
    assert config.vad_head
    assert config.global_vector
    assert config.lstm
    assert config.regression_head
    assert model.audio.backbone.geometry.min_samples == 400
    assert model.audio.backbone.geometry.hop_samples == 320
    assert sum(weight.numel() for weight in model.parameters()) < 1_000_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss", "mae"),
        ("keep", "first"),
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
        ("vad_loss_weight", -1.0),
        ("warmup_epochs", 3.0),
        ("clip_value", 0.0),
        ("clip_norm", -1.0),
        ("crop_seconds", 0.0),
        ("ema_decay", 1.0),
        ("seed", -1),
    ],
)
def test_settings_out_of_range_are_refused_by_name(field: str, value: Any) -> None:
    good = TrainConfig(epochs=3, batch_size=4, learning_rate=1e-3)
    with pytest.raises(ConfigError, match=f"{field} is"):
        replace(good, **{field: value})


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_with_every_variant_is_a_valid_one(name: str, variant: str) -> None:
    plain, varied = recipe_named(name), recipe_named(f"{name}+{variant}")
    assert varied.name == f"{name}+{variant}"
    assert varied.backbone == plain.backbone
    config = backbone_config(varied.model.backbone)
    assert config.hidden_size == varied.model.hidden_size
    assert config.mask_feature_length <= config.hidden_size
    changed = {
        field for field, value in vars(varied.train).items() if value != vars(plain.train)[field]
    }
    assert len(changed) <= 1  # a variant is one thing
    if variant == "spec_augment":
        assert changed == set()
        assert varied.model != plain.model
    else:  # binomial needs an output between 0 and 1
        changes: dict[str, Any] = {"output": "sigmoid"} if variant == "binomial" else {}
        changes |= {"fusion": {"name": variant}} if variant in FUSIONS else {}
        if variant == "frozen_backbone":
            frozen = {name: dict(given) for name, given in plain.model.branches.items()}
            frozen.get("audio", {})["trained"] = False
            changes = {"branches": frozen}
        if variant in SOUND_SIZES:
            added = {variant: series_of_sound(variant)}
            changes = {"branches": {**added, **plain.model.branches}}
        assert varied.model == replace(plain.model, **changes)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_variant_of_each_loss(loss: str) -> None:
    variant = loss.replace("+", "_")
    for name in RECIPES:
        assert recipe_named(f"{name}+{variant}").train.loss == loss
    assert loss in (VARIANTS[variant].__doc__ or "")


@pytest.mark.parametrize(
    ("variant", "field", "expected"),
    [
        ("frozen_conv", "freeze_conv", True),
        ("ema", "ema_decay", 0.999),
        ("vad", "vad_loss_weight", 1.0),
        ("bucketed", "bucket_batches", 8),
        ("rater_weights", "rater_weights", True),
        ("binomial", "loss", "binomial"),
        ("modality_dropout", "modality_dropout", 0.1),
    ],
)
def test_what_a_variant_changes(variant: str, field: str, expected: Any) -> None:
    assert getattr(paper().train, field) != expected
    assert getattr(recipe_named(f"paper+{variant}").train, field) == expected


def test_the_augmented_variant_changes_waveforms_in_every_way() -> None:
    plain, found = paper().train.augmentation, recipe_named("paper+augmented").train.augmentation
    assert all(vars(found)[name] != value for name, value in vars(plain).items())


def test_variants_add_up_and_the_last_word_holds() -> None:
    found = recipe_named("paper+mse_ccc+frozen_conv+spec_augment+ema+ccc")
    train = replace(paper().train, loss="ccc", freeze_conv=True, ema_decay=0.999)
    assert found.train == train
    assert found.model.backbone["apply_spec_augment"] is True
    assert found.model.backbone["mask_feature_length"] == 64
    assert found.backbone == PUBLIC_VAD_MODEL
    assert recipe_named("paper") == paper()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "papper",
            r"no recipe 'papper', expected one of paper, paper_small, debug, demo, .*, all$",
        ),
        ("", r"no recipe ''"),
        ("paper+emma", r"no variant 'emma', expected one of ccc, mse, .*frozen_conv, ema, vad"),
        ("paper+", r"no variant ''"),
        ("paper+mse+ccc+debug", r"no variant 'debug'"),
    ],
)
def test_an_unknown_name_lists_what_there_is(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe_named(name)


@pytest.mark.parametrize("recipe", [debug(), demo()], ids=lambda recipe: recipe.name)
def test_nothing_is_random_in_a_small_backbone_but_what_is_named(recipe: Recipe) -> None:
    config = backbone_config(recipe.model.backbone)
    chances = [value for name, value in vars(config).items() if name.endswith(("drop", "dropout"))]
    assert len(chances) >= 5
    assert {chance for chance in chances if chance} <= {recipe.model.backbone["final_dropout"]}
    assert config.apply_spec_augment is False
    assert recipe.backbone is None


def test_nothing_at_all_is_random_in_the_debug_model() -> None:
    assert debug().model.backbone["final_dropout"] == 0.0
