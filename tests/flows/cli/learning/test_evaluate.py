"""`emi evaluate`, called as a shell would; the flow as the plain function that it is."""

import json
import wave

import numpy as np
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.metrics.conformal import Intervals
from tasks.corpus.clips import hash_content
from tasks.labels.add_labels import add_labels
from tasks.labels.label_set import load_labels
from tasks.storage.open import open_folder
from tasks.store.query import answer
from tests.tiny import BACKBONE

TARGETS = ("Awe", "Sheer Joy")
SPLITS = ["train"] * 3 + ["valid"] * 3 + ["test"] * 6


@pytest.fixture
def evaluate(emi, quiet_verbs, monkeypatch, tmp_path):
    """Run the verb with the plain function of its flow."""
    from flows.evaluate import evaluate_model

    # a server of Prefect takes longer than all of this
    monkeypatch.setattr("flows.evaluate.evaluate_model", evaluate_model.fn)
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    return lambda *arguments: emi("evaluate", *arguments)


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(len(SPLITS)):
        noise = np.random.default_rng(number).normal(0, 900 * (number + 1), 8_000)
        with wave.open(str(folder / f"{number:02d}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(noise.clip(-32_000, 32_000).astype(np.int16).tobytes())
    return folder


@pytest.fixture
def store(tmp_path, corpus):
    lines = ["filename,speaker,split,sheer joy,awe"]
    lines += [
        f"{number:02d}.wav,s{number},{split},0.5,{number / 20}"
        for number, split in enumerate(SPLITS)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    add_labels(tmp_path / "store", tmp_path / "labels.csv", str(corpus))
    return tmp_path / "store"


@pytest.fixture
def model(tmp_path, corpus):
    torch.manual_seed(0)
    weights = EmiModel(EmiConfig(backbone=BACKBONE, targets=TARGETS)).eval()
    contents = [hash_content(path) for path in sorted(corpus.iterdir())]
    save_checkpoint(
        tmp_path / "model",
        weights,
        ModelCard("tiny", TARGETS),
        intervals=Intervals(0.9, dict.fromkeys(TARGETS, 1.0), 50),
        training_clips={"train": contents[:3], "valid": contents[3:6]},
    )
    return tmp_path / "model"


@pytest.fixture
def asked(model, store, corpus):
    return ("--model", model, "--labels", store, "--corpus", corpus)


def test_figures_are_printed_kept_and_drawn(evaluate, asked, store, corpus):
    (corpus / "11.wav").unlink()
    (corpus / "10.wav").write_bytes(b"no sound")
    code, out, err = evaluate(*asked, "--split", "test")
    assert code == 0, err
    assert "6 clips labelled, 4 evaluated of 4 speakers, 2 missing" in out
    assert "missing, not in the corpus: 11.wav" in out
    assert "missing, changed" in out
    assert "undefined" in out
    assert "100.0 %" in out
    assert "WARNING" not in out
    rows = answer(store, "SELECT * FROM evaluations ORDER BY target").to_pylist()
    assert [row["target"] for row in rows] == ["Awe", "Sheer Joy", "mean"]
    awe, joy, mean = rows
    assert (joy["pearson"], joy["ccc"], joy["coverage"]) == (None, None, 1.0)
    assert mean["pearson"] == awe["pearson"] is not None
    assert (mean["num_missing"], mean["num_trained_on"], mean["num_held_out"]) == (2, 0, 4)
    assert mean["snapshot"] == load_labels(store).snapshot
    (picture,) = (store / "plots").iterdir()
    assert picture.name == f"{mean['evaluation_id']}.png"
    assert str(picture) in out


def test_json_is_an_object_a_target_and_the_mean_tells_the_rest(evaluate, asked, tmp_path):
    results, plot = tmp_path / "results", tmp_path / "a.svg"
    code, out, err = evaluate(*asked, "--json", "--results", results, "--plot", plot)
    assert code == 0, err
    awe, _, mean = map(json.loads, out.splitlines())
    assert (awe["target"], mean["target"]) == ("Awe", "mean")
    assert (mean["coverage"], mean["coverage_level"]) == (None, 0.9)
    assert mean["plot"] == str(plot)
    assert any("calibrated on these clips" in note for note in mean["notes"])
    assert plot.is_file()
    assert answer(results, "SELECT count(*) AS n FROM evaluations").to_pylist() == [{"n": 3}]
    code, out, err = evaluate(*asked, "--json", "--split", "train")
    assert "WARNING: 3 of these 3 clips trained this model" in err
    assert [json.loads(line)["num_trained_on"] for line in out.splitlines()] == [3, 3, 3]


def test_somebodys_predictions_need_neither_model_nor_corpus(emi, store, tmp_path):
    lines = [f"{number:02d},{number / 30},{number / 25}" for number in range(6, 12)]
    (tmp_path / "theirs.csv").write_text("\n".join(["clip_id,awe,sheer joy", *lines]) + "\n")
    asked = ("evaluate", "--predictions", tmp_path / "theirs.csv", "--split", "test")
    code, out, err = emi(*asked, "--results", store)
    assert code == 0, err
    assert "theirs.csv" in out
    assert "6 clips labelled, 6 evaluated of 6 speakers, 0 missing" in out
    rows = answer(store, "SELECT target, model, pearson FROM evaluations").to_pylist()
    assert {row["target"]: row["pearson"] for row in rows}["awe"] == pytest.approx(1.0)
    assert {row["model"] for row in rows} == {"theirs.csv"}
    (picture,) = (store / "plots").iterdir()
    assert str(picture) in out
    code, _, err = emi("evaluate", "--results", store, "--model", "x")
    assert (code, "Missing option '--corpus'" in err) == (2, True)


def test_labels_figures_and_picture_in_a_bucket(evaluate, emi, asked, store, corpus, bucket):
    place = f"{bucket}/my store"
    code, out, err = emi("labels", "add", store.parent / "labels.csv", "--store", place, *asked[4:])
    assert (code, "snapshot 1" in out) == (0, True), err
    assert emi("labels", "list", "--store", place, "--json")[1].count('"number": 1') == 1
    code, out, err = evaluate(*asked[:2], "--labels", place, *asked[4:], "--split", "test")
    assert code == 0, err
    (picture,) = open_folder(place).files("plots")
    assert f"picture {place}/{picture.name}" in out
    assert open_folder(place).read(picture.name).startswith(b"\x89PNG")
    sql = "SELECT count(*) AS n FROM evaluations"
    code, out, err = emi("query", sql, "--results", place, "--format", "json")
    assert (code, json.loads(out)) == (0, {"n": 3}), err
    assert emi("status", "--results", place)[0] == 0
    code, _, err = emi("query", "COPY scores TO 'x.csv'", "--results", place)
    assert (code, len(err.splitlines())) == (2, 1)
    code, _, err = emi("query", sql, "--results", f"{bucket}/none")
    assert (code, err.count("\n"), "no results store here" in err) == (2, 1, True)


def test_what_cannot_be_done_is_one_line(evaluate, asked, store, corpus, tmp_path):
    other = tmp_path / "other"
    torch.manual_seed(0)
    weights = EmiModel(EmiConfig(backbone=BACKBONE, targets=("Awe",))).eval()
    save_checkpoint(other, weights, ModelCard("other", ("Awe",)))
    for arguments, said in (
        (("--labels", store, "--corpus", corpus), "no model named"),
        ((*asked, "--model", other), "found labels of"),
        ((*asked, "--plot", "a.txt"), "found suffix '.txt'"),
        ((*asked, "--snapshot", "7"), "0 label snapshots called '7'"),
        ((*asked, "--corpus", tmp_path / "model"), "no media file"),
    ):
        code, out, err = evaluate(*arguments)
        assert (code, out) == (2, "")
        assert said in err.splitlines()[-1]
    assert not (store / "plots").exists()
    assert answer(store, "SELECT count(*) AS n FROM evaluations").to_pylist() == [{"n": 0}]
