"""Features without any media: labels, a training, its evaluation and scores, in one process."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import recipe_named
from tasks.evaluation.evaluate import evaluate_gathered
from tasks.extraction.series.given import Given, parse_features
from tasks.labels.add_labels import add_labels
from tasks.labels.label_set import load_labels
from tasks.scoring.direct import score_files
from tasks.training.gathering import given_or_clips, load_for_recipe, with_features

TARGETS = ("Awe", "Joy")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of 24 clips' faces; every fourth clip has no pulse in the table beside it."""
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    (tmp_path / "npz").mkdir()
    labels, table = [["filename", "speaker", *TARGETS]], [["filename", "time", "pulse"]]
    for number in range(24):
        share = rng.uniform()
        face = rng.standard_normal((20, 3)) * 10
        face[:, 0] += 1000 * share
        np.savez(tmp_path / "npz" / f"{number:03}.npz", face=face, fps=25)
        labels.append([f"{number:03}", f"s{number % 6}", share, 1 - share])
        if number % 4:
            table += [[f"{number:03}.mp4", entry / 2, rng.normal()] for entry in range(5)]
    for name, rows in (("labels.csv", labels), ("pulse.csv", table)):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    return tmp_path


def test_from_labels_to_scores(made: Path) -> None:
    corpus, store = str(made / "npz"), made / "store"
    added = add_labels(store, made / "labels.csv", corpus)
    assert added.num_added == 24
    given = parse_features([f"face={corpus}", f"pulse={made}/pulse.csv"])
    recipe = with_features(recipe_named("features"), given, corpus)
    assert [*recipe.model.branches] == ["face", "pulse"]
    gathered = load_for_recipe(
        recipe, load_labels(store), corpus, ("train", "valid"), features=given
    )
    assert gathered.missing == {}
    assert gathered.extractors["pulse"]["source"] == "pulse.csv"
    clips = gathered.of_split("train")
    lacking = {clip.clip_id for clip in clips if clip.absent == ("pulse",)}
    assert lacking == {clip.clip_id for clip in clips if int(clip.clip_id[:3]) % 4 == 0}

    settings = replace(recipe.train, epochs=12, warmup_epochs=0.0, learning_rate=0.01)
    model = from_scratch(recipe, TARGETS)
    fit(model, clips, gathered.of_split("valid"), settings, device="cpu")
    save_checkpoint(made / "model", model, ModelCard("features", TARGETS))
    loaded = load_model(str(made / "model"))
    report = evaluate_gathered(loaded, gathered, "valid")
    assert report.evaluation.mean.pearson.value is not None
    assert report.evaluation.mean.pearson.value > 0.7

    files = [f"{corpus}/{number:03}.npz" for number in (0, 1)]
    rows, _ = score_files(files, str(made / "model"), features=[f"pulse={made}/pulse.csv"])
    assert [row["modalities"] for row in rows] == [["face"], ["face", "pulse"]]
    assert all(0 <= row["joy"] <= 1 for row in rows)


def test_clips_are_their_own_features(made: Path) -> None:
    corpus, recipe = str(made / "npz"), recipe_named("features")
    given = given_or_clips({}, recipe, corpus)
    assert given == {"features": Given(None)}
    branch = with_features(recipe, given, corpus).model.branches["features"]
    assert (branch["num_values"], branch["rate"]) == (3, 25.0)
    assert given_or_clips({}, recipe_named("debug"), corpus) == {}
