"""`emi recipes`: what the names that `emi train` takes mean."""

import pytest

from emi_model.training.recipes import RECIPES, VARIANTS


def test_each_recipe_and_variant_is_a_row_that_reads_well(emi):
    code, out, err = emi("recipes")
    assert (code, err) == (0, "")
    cells = [line.split("│") for line in out.splitlines() if line.startswith("│")]
    meanings = {name.strip(): meaning.strip() for _, name, meaning, _ in cells}
    assert list(meanings) == [*RECIPES, *VARIANTS]
    assert meanings["paper"].startswith("The recipe of Hallmen et al. (arXiv 2403.11879)")
    assert meanings["ema"].startswith("Average the weights over about the last thousand steps")
    assert [name for name, text in meanings.items() if not text[0].isupper()] == []
    assert [name for name, text in meanings.items() if text.startswith("Return")] == []


def test_every_setting_of_a_recipe_as_it_is_set(emi):
    code, out, err = emi("recipes", "debug+epochs=9")
    assert (code, err) == (0, "")
    rows = [line.split("│")[1:3] for line in out.splitlines() if line.startswith("│")]
    values = {key.strip(): value.strip() for key, value in rows}
    assert (values["epochs"], values["clip_value"], values["loss"]) == ("9", "none", "mse+pearson")
    assert values["augmentation.speed"] == "0.95,1.05"
    assert out.endswith("starts from: new weights\n")


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--set", "epochs"], "found --set 'epochs', expected KEY=VALUE"),
        (["--set", "epoch=3"], "no setting 'epoch', is epochs"),
        (["--epochs", "1"], "warmup_epochs is 1.0, expected [0, epochs)"),
        (["--recipe", "none.py:mine"], "none.py: no such file"),
    ],
)
def test_settings_are_checked_before_anything_else(emi, tmp_path, options, cause):
    code, out, err = emi("train", "--results", tmp_path, "--corpus", tmp_path, *options)
    assert (code, out) == (2, "")
    assert cause in err
