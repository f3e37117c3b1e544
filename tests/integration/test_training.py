"""`emi train` on Ray: the same losses from one process, one worker, two, or a killed training."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from emi_model.errors import TrainingError
from emi_model.recipes import recipe_named
from emi_model.train import fit
from tasks.cluster import ray_cluster
from tasks.gathering import gather
from tasks.labels import load_labels
from tasks.planning import plan_training
from tasks.query import answer
from tasks.training import train

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def store(emi, corpus, tmp_path_factory):
    """A results store with the corpus's labels."""
    folder = tmp_path_factory.mktemp("labels") / "store"
    added = ("labels", "add", corpus / "labels.csv", "--corpus", corpus, "--store", folder)
    code, _, err = emi(*added)
    assert code == 0, err
    return folder


@pytest.fixture(scope="module")
def plan(store, corpus, environment):
    """The debug recipe on these labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMI_HOME", environment["EMI_HOME"])
        gathered = gather(load_labels(store), str(corpus), ("train", "valid"))
    return plan_training(gathered, recipe_named("debug"), name="emi", start=None, workers=1, gpus=0)


@pytest.fixture(scope="module")
def alone(plan):
    """What one process without Ray gives."""
    torch.set_num_threads(1)
    return fit(plan.job.first_model(), plan.job.train, plan.job.valid, plan.job.recipe.train)


def losses(history):
    return [report.train_loss for report in history]


def test_any_number_of_workers_gives_the_losses_of_one_process(plan, alone, tmp_path):
    job = replace(plan.job, threads=1)
    told = []
    with ray_cluster(2):
        found = {
            workers: train(job, tmp_path / str(workers), workers=workers, on_epoch=told.append)
            for workers in (1, 2)
        }
        hot = replace(job.recipe, train=replace(job.recipe.train, learning_rate=1e30))
        with pytest.raises(TrainingError, match=r"(not finite|(nan|inf) in epoch 1), on .*\.mp4"):
            train(replace(job, recipe=hot), tmp_path / "hot")
    assert [report.epoch for report in told] == [1, 2, 3, 1, 2, 3]
    for trained in found.values():
        assert losses(trained.history) == pytest.approx(losses(alone.history), rel=1e-4)
        assert trained.epoch == alone.epoch
        assert [report.valid_pearson for report in trained.history] == pytest.approx(
            [report.valid_pearson for report in alone.history], abs=1e-4
        )
    assert found[1].predictions == pytest.approx(found[2].predictions, abs=1e-4)


def test_a_killed_training_goes_on_to_the_same_losses(
    launch, emi, store, corpus, alone, environment
):
    command = ("train", "--labels", store, "--corpus", corpus, "--recipe", "debug", "--json")
    running = launch(*command)
    training = Path(environment["EMI_HOME"]) / "training"
    deadline = time.monotonic() + 120
    while not list(training.glob("*/checkpoint_*/training.pt")):  # until epoch 1 is kept
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.kill()  # in the middle of epoch 2
    running.communicate()
    assert answer(store, "SELECT * FROM evaluations").num_rows == 0

    code, out, err = emi(*command)
    assert code == 0, err
    (found,) = map(json.loads, out.splitlines())
    assert (found["reference"], found["num_train"], found["num_valid"]) == ("models:/emi/1", 32, 16)
    assert found["epoch"] == alone.epoch
    assert not list(training.iterdir())

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{environment['EMI_HOME']}/mlflow.db")
    points = client.get_metric_history(found["run_id"], "train_loss")
    curve = sorted((point.step, point.value) for point in points)
    assert [step for step, _ in curve] == [1, 2, 3]
    assert [value for _, value in curve] == pytest.approx(losses(alone.history), rel=1e-4)

    rows = answer(store, "SELECT target, pearson, pearson_low FROM evaluations").to_pylist()
    (mean,) = (row for row in rows if row["target"] == "mean")
    assert len(rows) == 7
    assert mean["pearson"] == pytest.approx(found["mean_pearson"], abs=1e-6)
    assert mean["pearson_low"] < mean["pearson"]

    clip = next(corpus.glob("*/clip_0001.mp4"))
    code, out, err = emi("score", clip, "--model", found["reference"], "--json")
    assert code == 0, err
    row = json.loads(out)
    assert row["training_split"] == "train"
    assert row["joy_low"] <= row["joy"] <= row["joy_high"]
