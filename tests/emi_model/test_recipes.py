from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emi_model.errors import ConfigError
from emi_model.model import EmiModel
from emi_model.recipes import RECIPES, demo, paper
from emi_model.train_config import TrainConfig


def test_the_papers_recipe_to_the_letter() -> None:
    recipe = paper().train
    assert (recipe.loss, recipe.epochs, recipe.batch_size) == ("mse", 30, 32)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.warmup_epochs) == (1e-4, 0.01, 1.0)
    assert (recipe.clip_value, recipe.clip_norm) == (100.0, None)
    assert (recipe.mixed_precision, recipe.seed, recipe.keep) == (True, 1, "best")
    assert (recipe.crop_seconds, recipe.ema_decay, recipe.vad_loss_weight) == (None, None, 0.0)


def test_the_demo_keeps_the_last_epoch_so_that_nothing_peeks() -> None:
    assert RECIPES["demo"]().train.keep == "last"


def test_the_demos_model_has_every_part_of_the_papers() -> None:
    config = demo().model
    model = EmiModel(config)
    assert config.vad_head
    assert config.global_vector
    assert config.lstm
    assert config.regression_head
    assert model.backbone.geometry.min_samples == 400
    assert model.backbone.geometry.hop_samples == 320
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
