from __future__ import annotations

import pytest

from emi_model.training.recipes import recipe_named
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import load_labelled_audio
from tasks.training.job import TrainingJob
from tasks.training.plan import plan_training
from tests.tasks.labels.labelled_corpus import labelled_store


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    """Return a training of a few short clips."""
    folder = tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMI_HOME", str(folder / "home"))
        corpus, store = labelled_store(folder, ["train"] * 8 + ["valid"] * 6)
        gathered = load_labelled_audio(load_labels(store), str(corpus), ("train", "valid"))
    recipe = recipe_named("debug")
    plan = plan_training(gathered, recipe, name="emi", start=None, workers=1, gpus=0, threads=1)
    return plan.job
