from __future__ import annotations

from pathlib import Path

import pytest

from emi_model.training.recipes import recipe_named
from tasks.labels.label_set import load_labels
from tasks.training.gathering import load_for_recipe
from tests.tasks.labels.labelled_corpus import labelled_store


def test_a_clip_is_missing_that_is_too_short_for_the_recipes_own_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    corpus, store = labelled_store(tmp_path, ["train", "valid"], seconds=500 / 16_000)
    labels = load_labels(store)
    standard = load_for_recipe(recipe_named("debug"), labels, str(corpus), ("train", "valid"))
    assert standard.missing == {}
    wide = load_for_recipe(recipe_named("paper_small"), labels, str(corpus), ("train", "valid"))
    assert set(wide.missing.values()) == {"500 samples, expected 856 or more"}
    assert wide.of_split("train") == ()
