"""`emi train`, on Ray and without: the same losses from one process, two workers, killed ones."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from emi_model.errors import TrainingError
from emi_model.training.fit import FitResult, fit
from emi_model.training.recipes import recipe_named
from emi_model.training.validate import predict_clips
from tasks.cluster.connection import ray_cluster
from tasks.labels.add_labels import add_labels
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import load_labelled_audio
from tasks.scoring.direct import score_files
from tasks.store.query import answer
from tasks.training.plan import plan_training
from tasks.training.run import train
from tests.integration.test_cluster import titles
from tests.pseudo_terminal import interrupted, keyboard_reaches
from tests.tasks.labels.labelled_corpus import write_labelled

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Labelled clips, long enough for a training to be killed in the middle."""
    folder = tmp_path_factory.mktemp("training") / "corpus"
    write_labelled(folder, ["train"] * 32 + ["valid"] * 16, seconds=3.0)
    return folder


@pytest.fixture(scope="module")
def store(corpus, tmp_path_factory):
    """A results store with the corpus's labels."""
    folder = tmp_path_factory.mktemp("labels") / "store"
    add_labels(folder, corpus / "labels.csv", str(corpus))
    return folder


@pytest.fixture(scope="module")
def plan(store, corpus, environment):
    """The debug recipe on these labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMI_HOME", environment["EMI_HOME"])
        gathered = load_labelled_audio(load_labels(store), str(corpus), ("train", "valid"))
    return plan_training(gathered, recipe_named("debug"), name="emi", start=None, workers=1, gpus=0)


@dataclass(frozen=True)
class Alone:
    """What one process without Ray gives; predictions of the validation clips."""

    fitted: FitResult
    predictions: np.ndarray

    @property
    def losses(self):
        return losses(self.fitted.history)


@pytest.fixture(scope="module")
def alone(plan):
    """A training in this process."""
    model = plan.job.first_model()
    fitted = fit(model, plan.job.train, plan.job.valid, plan.job.recipe.train)
    return Alone(fitted, predict_clips(model, plan.job.valid))


def losses(history):
    return [report.train_loss for report in history]


def training_is_killed():
    """Kill the child process that trains; returns whether there was one."""
    found = False
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "own_child" in " ".join(child.cmdline()):
                child.kill()
                found = True
    return found


def check_one_worker_without_ray(job, alone, storage):
    """Train without Ray to the very same numbers, though its process is killed, then stopped."""
    told = []

    def stop(report):
        told.append(report.epoch)
        if report.epoch == 1:
            assert training_is_killed()
        if report.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job, storage, on_epoch=stop)
    assert not training_is_killed()
    trained = train(job, storage)
    assert told == [1, 2]
    assert losses(trained.history) == alone.losses
    assert np.array_equal(trained.predictions, alone.predictions)


def test_two_workers_and_one_without_ray_give_the_losses_of_one_process(
    plan, alone, tmp_path, monkeypatch
):
    job = replace(plan.job, threads=1)
    told, processes = [], set()

    def note(report):
        told.append(report)
        processes.update(titles())

    monkeypatch.setenv("EMI_FEW_CLIPS", "0")
    with ray_cluster(2):
        trained = train(job, tmp_path / "two", workers=2, on_epoch=note)
        hot = replace(job.recipe, train=replace(job.recipe.train, learning_rate=1e30))
        with pytest.raises(TrainingError, match=r"(not finite|(nan|inf) in epoch 1), on .*\.wav"):
            train(replace(job, recipe=hot), tmp_path / "hot")
    assert [report.epoch for report in told] == [1, 2, 3]
    assert any("RayTrainWorker" in name for name in processes)
    assert not any("PreemptionWatcher" in name for name in processes)
    assert losses(trained.history) == pytest.approx(alone.losses, rel=1e-4)
    assert trained.epoch == alone.fitted.epoch
    assert [report.valid_pearson for report in trained.history] == pytest.approx(
        [report.valid_pearson for report in alone.fitted.history], abs=1e-4
    )
    assert trained.predictions == pytest.approx(alone.predictions, abs=1e-4)
    monkeypatch.delenv("EMI_FEW_CLIPS")
    one = replace(plan.job, threads=torch.get_num_threads())
    check_one_worker_without_ray(one, alone, tmp_path / "one")


def test_a_killed_training_of_one_worker_goes_on_to_the_same_losses(
    launch, at_terminal, emi, store, corpus, alone, environment, served, monkeypatch
):
    command = ("train", "--labels", store, "--corpus", corpus, "--recipe", "debug", "--json")
    on_ray = {"EMI_FEW_CLIPS": "0"}
    running = launch(*command, **on_ray, **served)
    training = Path(environment["EMI_HOME"]) / "training"
    deadline = time.monotonic() + 240  # as the other tests wait on a busy machine
    while not list(training.glob("*/checkpoint_*/training.pt")):  # until epoch 1 is kept
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.kill()  # in the middle of epoch 2
    running.communicate()

    terminal = at_terminal(*command, **on_ray)
    processes = set()
    while "training" not in terminal.text:
        assert terminal.process.poll() is None, terminal.text
        assert time.monotonic() < deadline + 240
        processes.update(titles(terminal.process.pid))
        time.sleep(0.1)
    assert any("RayTrainWorker" in name for name in processes)
    left = psutil.Process(terminal.process.pid).children(recursive=True)
    assert keyboard_reaches(terminal.process) == []
    assert interrupted(terminal) == 130
    assert psutil.wait_procs(left, timeout=20)[1] == []
    assert answer(store, "SELECT * FROM evaluations").num_rows == 0

    code, out, err = emi(*command, **served)  # without Ray
    assert code == 0, err
    (found,) = map(json.loads, out.splitlines())
    assert (found["reference"], found["num_train"], found["num_valid"]) == ("models:/emi/1", 32, 16)
    assert found["epoch"] == alone.fitted.epoch
    kept = alone.fitted.history[alone.fitted.epoch - 1]
    assert found["mean_pearson"] == pytest.approx(kept.valid_pearson, abs=1e-4)
    assert not list(training.iterdir())

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{environment['EMI_HOME']}/mlflow.db")
    points = client.get_metric_history(found["run_id"], "train_loss")
    curve = sorted((point.step, point.value) for point in points)
    assert [step for step, _ in curve] == [1, 2, 3]
    assert [value for _, value in curve] == pytest.approx(alone.losses, rel=1e-4)

    rows = answer(store, "SELECT target, pearson, pearson_low FROM evaluations").to_pylist()
    (mean,) = (row for row in rows if row["target"] == "mean")
    assert len(rows) == 3
    assert mean["pearson"] == pytest.approx(found["mean_pearson"], abs=1e-6)
    assert mean["pearson_low"] < mean["pearson"]

    monkeypatch.setenv("EMI_HOME", environment["EMI_HOME"])
    ((row,), _) = score_files([str(corpus / "000.wav")], found["reference"])
    assert row["training_split"] == "train"
    assert row["noise_low"] <= row["noise"] <= row["noise_high"]
