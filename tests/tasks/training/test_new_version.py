from __future__ import annotations

from pathlib import Path

import pytest

from emi_model.errors import TrainingError
from emi_model.training.recipes import recipe_named
from tasks.labels.label_set import load_labels
from tasks.registry.client import mlflow_client
from tasks.registry.tracking import start_run
from tasks.training.gathering import load_for_recipe
from tasks.training.new_version import new_version
from tasks.training.plan import plan_training, storage_of
from tasks.training.run import alone_at
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


def test_a_second_command_leaves_the_training_of_the_first_alone(
    emi_home: Path, tmp_path: Path
) -> None:
    corpus, store = labelled_store(tmp_path, ["train", "valid"])
    recipe = recipe_named("debug")
    audio = load_for_recipe(recipe, load_labels(store), str(corpus), ("train", "valid"))
    plan = plan_training(audio, recipe, name="emi", start=None, workers=1, gpus=0, threads=1)
    first = start_run(plan.training_id, {})  # as the first command does
    storage = storage_of(plan, emi_home)
    with alone_at(storage):
        (storage / "its file").touch()
        with pytest.raises(TrainingError, match="another process is at this training"):
            new_version(plan, audio, str(store))
        assert mlflow_client().get_run(first.run_id).info.status == "RUNNING"
        assert (storage / "its file").exists()
