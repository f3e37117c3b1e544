from __future__ import annotations

import pytest

from emi_model.errors import ConfigError
from emi_model.training.recipes import FUSIONS
from tasks.comparison.axes import Axes, fusion_of, short_names, variants_of


def test_a_grid_is_every_combination_and_each_once() -> None:
    axes = Axes(
        ("demo_all",), ("audio+text", "text"), ("concat", "paper", "concat"), ("mse", "ccc")
    )
    found = variants_of(axes)
    assert [variant.labels for variant in found] == [
        ("demo_all", branches, fusion, loss)
        for branches in ("audio+text", "text")
        for fusion in ("concat", "paper")
        for loss in ("mse", "ccc")
    ]
    assert short_names(found)[:2] == ["audio+text · concat · mse", "audio+text · concat · ccc"]
    alone = found[4].recipe
    assert (list(alone.model.branches), alone.train.loss) == (["text"], "mse")


def test_without_axes_it_is_the_recipe_as_it_is() -> None:
    (found,) = variants_of(Axes(("demo_all",), settings={"epochs": 3}))
    assert found.labels == ("demo_all", "audio+text+vision", "paper", "mse+pearson")
    assert (found.recipe.train.epochs, short_names([found])) == (3, ["paper"])


def test_all_fusions_and_arguments() -> None:
    found = variants_of(Axes(("demo_all",), fusions=("all", "text_anchored:size=8,dropout=0.5")))
    assert [variant.fusion for variant in found] == [
        "paper",
        *FUSIONS,
        "text_anchored:size=8,dropout=0.5",
    ]
    fusion = found[-1].recipe.model.fusion
    assert fusion == {"name": "text_anchored", "size": 8, "dropout": 0.5}
    assert fusion_of("a:b=true,c=x") == {"name": "a", "b": True, "c": "x"}


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (Axes(("cake",)), "no recipe 'cake'"),
        (Axes(("debug",), ("text",)), "found branches 'text', expected some of audio"),
        (Axes(("debug",), fusions=("cake",)), "no fusion for 'cake'"),
        (Axes(("debug",), fusions=("concat:size",)), "NAME:ARGUMENT=VALUE"),
        (Axes(("debug",), losses=("cake",)), "found loss 'cake'"),
    ],
)
def test_what_is_misspelt_is_refused(axes: Axes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        variants_of(axes)
