from __future__ import annotations

from pathlib import Path

import pytest

from emi_model.errors import ConfigError
from emi_model.training.recipes import debug, recipe_named
from tasks.training.recipe_names import chosen_recipe, encoder_settings, name_with
from tasks.training.recipe_settings import settings_of

OWN = """
from dataclasses import replace
from emi_model.training.recipes import debug

def mine():
    recipe = debug()
    return replace(recipe, train=replace(recipe.train, epochs=7))

def nothing():
    return 3

def broken():
    return 1 / 0
"""


def test_a_name_of_ours_with_variants_and_settings() -> None:
    assert chosen_recipe("debug") == debug()
    found = chosen_recipe("debug+ccc+epochs=5+ema")
    assert found.name == "debug+ccc+epochs=5+ema"
    expected = recipe_named("debug+ccc+ema").train
    assert (found.train.epochs, found.train.loss) == (5, "ccc")
    assert found.train.ema_decay == expected.ema_decay


def test_settings_become_part_of_the_name_and_survive_it() -> None:
    name = name_with("debug", {"epochs": 5, "seed": None, "loss": "mse+ccc"})
    assert name == "debug+epochs=5+loss=mse_ccc"
    assert chosen_recipe(name).train.loss == "mse+ccc"
    assert name_with("debug", {"seed": None}) == "debug"
    with pytest.raises(ConfigError, match="without '\\+': rename the folder"):
        name_with("debug", {"text.encoder": "a+b"})


def test_encoders_become_part_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bert").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = encoder_settings("bert", "owner/vit")
    name = name_with("debug", settings)
    assert name == f"debug+text.encoder={tmp_path}/bert+vision.encoder=owner/vit"
    branches = chosen_recipe(f"{name}+vision.trained=true+vision.max_frames=60").model.branches
    assert [*branches] == ["audio", "text", "vision"]
    assert branches["text"]["encoder"] == f"{tmp_path}/bert"
    vision = {"optional": True, "trained": True, "encoder": "owner/vit", "max_frames": 60}
    assert branches["vision"] == vision
    assert settings_of(chosen_recipe(name))["text.trained"] is False


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("text.layers=3", r"no setting 'text\.layers', expected one of text\.encoder"),
        ("text.trained=maybe", r"text\.trained is 'maybe', expected true or false"),
        ("audio.trained=true", r"expected one of audio\.optional"),
    ],
)
def test_settings_that_no_branch_has_are_refused(setting: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        chosen_recipe(f"debug+{setting}")


def test_a_recipe_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my recipes.py").write_text(OWN)
    name = f"{tmp_path}/my recipes.py:mine+ccc+learning_rate=0.5"
    found = chosen_recipe(name)
    assert found.name == name
    assert (found.train.epochs, found.train.loss, found.train.learning_rate) == (7, "ccc", 0.5)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert chosen_recipe("~/my recipes.py:mine").train.epochs == 7


def test_a_recipe_of_ones_own_is_found_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of a server start in another one; a retraining takes the champion's recipe."""
    (tmp_path / "my.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    name = chosen_recipe("my.py:mine+ccc").name
    monkeypatch.chdir("/")
    assert name == f"{tmp_path}/my.py:mine+ccc"
    assert chosen_recipe(name).train.epochs == 7


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("none.py:mine", "none.py: no such file"),
        ("own.py:other", "'other' gives NoneType, expected a function that returns"),
        ("own.py:nothing", "'nothing' gives int"),
        ("own.py:broken", "broken: ZeroDivisionError: division by zero"),
        ("own.py:mine+emma", "no variant 'emma'"),
        ("odd.py:mine", "mine: SyntaxError"),
        ("debug+epochs=", "epochs is ''"),
        ("debug+=3", "no setting ''"),
    ],
)
def test_what_is_refused(
    name: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    Path("odd.py").write_text("def mine(:\n")
    with pytest.raises(ConfigError) as caught:
        chosen_recipe(name)
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)
