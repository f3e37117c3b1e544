from __future__ import annotations

from dataclasses import replace

import pytest

from emi_model.errors import ConfigError
from emi_model.training.recipes import RECIPES, debug, paper
from tasks.training.recipe_settings import settings_of, with_settings


def as_text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


@pytest.mark.parametrize("name", RECIPES)
def test_every_setting_can_be_set_to_what_it_is(name: str) -> None:
    recipe = RECIPES[name]()
    settings = settings_of(recipe)
    assert settings["epochs"] == recipe.train.epochs
    assert "augmentation" not in settings
    again = with_settings(recipe, {key: as_text(value) for key, value in settings.items()})
    assert settings_of(again) == settings


def test_settings_change_what_they_name_and_nothing_else() -> None:
    recipe = debug()
    found = with_settings(
        recipe,
        {
            "epochs": "1",
            "warmup_epochs": "0",  # only both together are within their range
            "learning_rate": "1e-5",
            "loss": "mse_ccc",
            "clip_norm": "none",
            "augmentation.speed": "0.8,1.2",
            "augmentation.noise_decibels": "None",
            "model.lstm_layers": "1",
            "model.lstm": "False",
            "backbone.hidden_dropout": "0.25",
            "backbone.conv_dim": "4,4,4,4,4,4,4",
        },
    )
    changes = replace(recipe.train.augmentation, speed=(0.8, 1.2), noise_decibels=None)
    assert found.train == replace(
        recipe.train,
        epochs=1,
        warmup_epochs=0.0,
        learning_rate=1e-5,
        loss="mse+ccc",
        clip_norm=None,
        augmentation=changes,
    )
    backbone = {**recipe.model.backbone, "hidden_dropout": 0.25, "conv_dim": [4] * 7}
    assert found.model == replace(recipe.model, lstm_layers=1, lstm=False, backbone=backbone)
    assert with_settings(recipe, {}) == recipe


@pytest.mark.parametrize(
    ("key", "text", "cause"),
    [
        ("epoch", "3", "no setting 'epoch', is epochs"),
        ("model.targets", "Joy", "no setting 'model.targets'"),
        ("augmentation", "x", "no setting 'augmentation'"),
        ("backbone.hidden", "3", "no setting 'backbone.hidden', expected an argument of"),
        ("epochs", "3.5", "epochs is '3.5', expected a whole number"),
        ("epochs", "0", "epochs is 0, expected 1 or more"),
        ("clip_norm", "much", "clip_norm is 'much', expected a number or none"),
        ("freeze_conv", "1", "freeze_conv is '1', expected true or false"),
        ("augmentation.speed", "1", "augmentation.speed is '1', expected two numbers"),
        ("loss", "l1", "loss is 'l1', expected one of"),
        ("keep", "some", "keep is 'some', expected 'best' or 'last'"),
        ("fusion.name", "sum", "found no fusion for 'sum', expected one of"),
        ("fusion.size", "3", "no setting 'fusion.size' of fusion 'paper', expected one of fusion"),
    ],
)
def test_what_is_refused(key: str, text: str, cause: str) -> None:
    with pytest.raises(ConfigError, match=cause.replace("?", r"\?")):
        with_settings(debug(), {key: text})


def test_published_weights_fix_the_backbone_but_for_its_masks() -> None:
    with pytest.raises(ConfigError, match=r"only masks can be set"):
        with_settings(paper(), {"backbone.hidden_size": "64"})
    found = with_settings(paper(), {"backbone.mask_time_prob": "0.1"})
    assert found.model.backbone["mask_time_prob"] == 0.1
    assert settings_of(found)["backbone.mask_time_prob"] == 0.1
    assert with_settings(paper(), {"backbone.max_layers": "6"}).model.backbone["max_layers"] == 6


def test_a_fusion_is_chosen_by_name_with_its_arguments() -> None:
    recipe = RECIPES["all"]()
    assert settings_of(recipe)["fusion.num_heads"] == 4
    assert "fusion.lstm_sizes" not in settings_of(RECIPES["semantic_matters"]())
    more = with_settings(recipe, {"fusion.num_heads": "2", "fusion.dropout": "0.3"}).model.fusion
    assert more == {"name": "text_anchored", "num_heads": 2, "dropout": 0.3}
    chosen = {"fusion.hidden_size": "32", "fusion.name": "concat"}
    other = with_settings(with_settings(recipe, {"fusion.size": "8"}), chosen)
    assert other.model == replace(recipe.model, fusion={"name": "concat", "hidden_size": 32})
    assert with_settings(debug(), {"fusion.name": "paper"}).model.fusion is None
    with pytest.raises(ConfigError, match=r"fusion.size is 'wide', expected a whole number"):
        with_settings(recipe, {"fusion.size": "wide"})
