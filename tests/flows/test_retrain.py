"""Trainings and retrainings as plain functions: what is registered, decided, recorded and sent."""

import shutil
from pathlib import Path

import pytest

from emi_model.errors import LabelError, ModelNotFound, RegistryError
from flows import retrain as retraining
from flows.retrain import retrain_model
from flows.train import train_model
from tasks.labels.add_labels import add_labels
from tasks.progress import Observer, observed_by
from tasks.registry.champion import promote, rollback
from tasks.registry.client import mlflow_client
from tasks.registry.registry import find, folder_of, list_versions, register
from tasks.registry.tracking import start_run
from tasks.storage.locks import is_locked
from tasks.store.query import answer
from tasks.training import new_version
from tasks.training.job import LOCK_FILE
from tests.tasks.labels.labelled_corpus import labelled_store

BETTER, WORSE = {"margin": -2.0}, {"margin": 2.0}
"""Rules by which any challenger is better, or none."""


class Seen(Observer):
    """Notes the stages, and how far each went."""

    def __init__(self):
        self.stages, self.done = [], []

    def begin(self, stage, total, unit):
        self.stages.append(stage)

    def advance(self, num_done, note=""):
        self.done.append(num_done)


@pytest.fixture
def site(tmp_path):
    """A store with the labels of a corpus, and the corpus."""
    corpus, store = labelled_store(tmp_path, ["train"] * 3 + ["valid"] * 3 + ["test"] * 3)
    return str(store), str(corpus)


@pytest.fixture
def retrain(site, trainings):
    return lambda **options: retrain_model.fn(*site, **options)


def test_a_retraining_promotes_only_what_is_better(retrain, site, trainings, sent, monkeypatch):
    with pytest.raises(ModelNotFound, match="emi has no champion to start from"):
        retrain(recipe="debug", start="champion")
    first = retrain(recipe="debug")
    assert (first["promoted"], first["reason"]) == (True, "there was no champion")
    assert (first["champion"], first["challenger"], first["num_clips"]) == (None, "1", 3)
    training = first["training"]
    assert (training["num_train"], training["num_valid"], training["epoch"]) == (3, 3, 1)
    ((event, resource, payload),) = sent
    assert (event, resource) == ("emi.model.promoted", "emi.model.emi")
    assert payload["reference"] == "models:/emi/1"
    assert payload["sha256"] == find("champion").sha256 == first["challenger_sha256"]

    again = retrain()  # by the champion's recipe
    assert (again["decision_id"], again["challenger"]) == (None, None)
    assert again["reason"].startswith("nothing new")
    assert again["training"]["trained_before"]
    assert len(trainings) == 1

    scans = []
    monkeypatch.setattr("flows.retrain.process_corpus", lambda *scan, **_: scans.append(scan))
    warm = {"start": "champion", "rescore": "/results"}
    lost = retrain(**warm, **WORSE)
    assert (lost["promoted"], lost["champion"], lost["challenger"]) == (False, "1", "2")
    assert lost["reason"].startswith("not better beyond doubt")
    assert (find("champion").number, len(sent), scans) == (1, 1, [])
    assert [job.warm for job in trainings] == [False, True]
    repeated = retrain(**warm, **WORSE)  # as after an interruption
    assert repeated["decision_id"] == lost["decision_id"]

    won = retrain(**warm, **BETTER)
    assert won["promoted"]
    assert (find("champion").number, len(sent)) == (2, 2)
    assert scans == [(site[1], "/results", "models:/emi/2")]
    recorded = answer(site[0], "SELECT promoted FROM decisions ORDER BY decided_at").to_pylist()
    assert [row["promoted"] for row in recorded] == [True, False, True]
    assert len(trainings) == 2

    rollback("emi")
    undone = retrain(**warm, **BETTER)
    assert (undone["promoted"], undone["decision_id"], undone["challenger"]) == (False, None, None)
    by_hand = "promote it by hand (`emi models promote models:/emi/2`)"
    assert undone["reason"] == f"nothing new: version 2 was rolled back: {by_hand}"
    assert (find("champion").number, len(sent), len(scans)) == (1, 2, 1)
    promote("emi", 2)

    pulse = Path(site[1]) / "pulse.csv"
    pulse.write_text("clip_id,level\n" + "".join(f"00{place}.wav,{place}\n" for place in range(9)))
    other = retrain(features=[f"pulse={pulse}"], **WORSE)  # against a champion without them
    assert (other["promoted"], other["challenger"], other["num_clips"]) == (False, "3", 3)
    assert [*trainings[-1].recipe.model.branches] == ["audio", "pulse"]
    assert trainings[-1].train[1].inputs["pulse"].tolist() == [[1.0]]


def test_without_clips_that_the_champion_never_met_nothing_is_decided(tmp_path, trainings, sent):
    corpus, store = labelled_store(tmp_path, ["train"] * 3 + ["valid"] * 2)
    site = (str(store), str(corpus))
    first = retrain_model.fn(*site, recipe="debug")
    assert first["num_clips"] == 2  # the validation clips decide, so they choose no epoch
    assert trainings[0].recipe.train.keep == "last"

    moved = (corpus / "labels.csv").read_text().replace(",valid,", ",other,")
    moved = moved.replace(",train,", ",valid,").replace(",other,", ",train,")
    (tmp_path / "moved.csv").write_text(moved)
    add_labels(tmp_path / "moved", tmp_path / "moved.csv", str(corpus))
    with pytest.raises(LabelError, match="no clip of the split 'valid' that the champion was not"):
        retrain_model.fn(str(tmp_path / "moved"), str(corpus), recipe="debug", **BETTER)
    assert (find("champion").number, len(sent)) == (1, 1)


def test_clips_that_decide_choose_no_epoch_and_others_decide_anew(retrain, site, trainings, sent):
    unread = [clip.rename(f"{clip}.away") for clip in sorted(Path(site[1]).glob("*.wav"))[6:]]
    first = retrain(recipe="debug")
    assert (first["split"], first["num_clips"]) == ("valid", 3)
    assert trainings[0].recipe.train.keep == "last"

    for clip in unread[1:]:
        clip.rename(clip.with_suffix(""))
    lost = retrain(**WORSE)
    assert (lost["split"], lost["num_clips"]) == ("test", 2)
    assert trainings[1].recipe.train.keep == "best"

    unread[0].rename(unread[0].with_suffix(""))  # the corpus is repaired
    again = retrain(**WORSE)
    assert (again["challenger"], again["num_clips"]) == (lost["challenger"], 3)
    assert again["decision_id"] != lost["decision_id"]
    assert (len(trainings), len(sent)) == (2, 1)


def test_no_champion_is_replaced_that_the_challenger_was_not_compared_with(
    retrain, site, trainings, sent, monkeypatch
):
    retrain(recipe="debug")
    warm = {"start": "champion", **BETTER}
    other = register("emi", folder_of(find("1")), start_run("other", {}).run_id, {})

    def meanwhile(place, name):
        act = getattr(retraining, name)

        def acted(*given, **options):
            promote("emi", other)
            return act(*given, **options)

        place.setattr(retraining, name, acted)

    with monkeypatch.context() as patch:
        meanwhile(patch, "decide")
        with pytest.raises(RegistryError, match="it was version 1 and is version 2: version 3"):
            retrain(**warm)
    rows = "SELECT champion, challenger, promoted FROM decisions ORDER BY decided_at"
    assert len(answer(site[0], rows)) == 1
    assert (find("champion").number, len(sent)) == (2, 1)

    promote("emi", 1)
    with monkeypatch.context() as patch:
        meanwhile(patch, "new_version")  # it is compared with the one that is champion by then
        assert retrain(**warm)["promoted"]
    assert [*answer(site[0], rows).to_pylist()[1].values()] == ["2", "3", True]
    assert (find("champion").number, len(sent), len(trainings)) == (3, 2, 2)


def test_without_any_clip_to_decide_by_nothing_is_trained(tmp_path, trainings):
    corpus, store = labelled_store(tmp_path, ["train"] * 3)
    with pytest.raises(LabelError, match="no clip in the split 'valid'"):
        retrain_model.fn(str(store), str(corpus), recipe="debug")
    assert trainings == []


def test_a_training_registers_a_version_and_promotes_none(
    site, trainings, sent, emi_home, monkeypatch
):
    folder, locked = emi_home / "training", {}

    def watch(place, name):
        act = getattr(place, name)

        def watched(*given, **options):
            locked[name] = [is_locked(found / LOCK_FILE) for found in folder.iterdir()]
            return act(*given, **options)

        monkeypatch.setattr(place, name, watched)

    for name in ("start_run", "train", "evaluate_predictions", "register"):
        watch(new_version, name)
    watch(shutil, "rmtree")
    seen = Seen()
    with observed_by(seen):
        found = train_model.fn(*site, recipe="debug", name="other", workers=1)
    assert seen.stages[-2:] == ["training without fold 1 of 5", "training"]
    assert seen.done == [2, 1]
    assert (found["reference"], found["aliases"]) == ("models:/other/1", [])
    assert (found["num_epochs"], found["seconds"], found["missing"]) == (1, 2.0, {})
    assert found["recipe"] == "debug"
    (version,) = list_versions("other")
    curve = mlflow_client().get_metric_history(found["run_id"], "train_loss")
    assert [point.step for point in curve] == [1]  # folds have no curve
    assert version.row()["snapshot"] is not None
    rows = answer(site[0], "SELECT target, split FROM evaluations ORDER BY target").to_pylist()
    assert [(row["target"], row["split"]) for row in rows] == [
        ("Noise", "valid"),
        ("Tone", "valid"),
        ("mean", "valid"),
    ]
    assert [*locked.values()] == [[True]] * 5  # one command at a time does all this
    assert [*folder.iterdir()] == []
    assert train_model.fn(*site, recipe="debug", name="other")["trained_before"]
    assert (len(trainings), sent) == (1, [])
    assert [*folder.iterdir()] == []
