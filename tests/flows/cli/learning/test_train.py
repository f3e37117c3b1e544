"""`emi recipes`: what the names that `emi train` takes mean."""

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
