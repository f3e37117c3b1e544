"""A calibrated model in the command: scores with intervals, an evaluation that fits them."""

import json
import shutil

import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.metrics.conformal import Intervals
from emi_model.targets import EMI_TARGETS
from tasks.corpus.clips import hash_content
from tasks.store.query import answer
from tests.pseudo_terminal import without_slow_start
from tests.tiny import BACKBONE

HEADER = "Filename,Admiration,Amusement,Determination,Empathic Pain,Excitement,Joy"


@pytest.fixture
def source(corpus, tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    for number, clip in enumerate(sorted(corpus.glob("*/clip_*.mp4"))[:8]):
        shutil.copy(clip, folder / f"{number:05d}.mp4")
    return folder


@pytest.fixture
def calibrated(source, tmp_path):
    """A tiny model that was trained on the first clip."""
    torch.manual_seed(0)
    weights = EmiModel(EmiConfig(backbone=BACKBONE)).eval()
    with torch.no_grad():
        weights.fusion.layers[2].bias += 0.5  # scores that no clipping makes alike
    save_checkpoint(
        tmp_path / "model",
        weights,
        ModelCard("tiny", EMI_TARGETS),
        intervals=Intervals(0.9, {**dict.fromkeys(EMI_TARGETS, 0.25), "Joy": None}, 50),
        training_clips={"train": [hash_content(source / "00000.mp4")], "valid": []},
    )
    return tmp_path / "model"


def test_figures_are_those_of_the_scores(emi, served, calibrated, source, tmp_path):
    results = tmp_path / "results"
    code, out, err = emi("score", *sorted(source.iterdir()), "--model", calibrated, "--json")
    assert code == 0, err
    rows = list(map(json.loads, out.splitlines()))
    assert [row["training_split"] for row in rows] == ["train", *[None] * 7]
    for row in rows:
        assert row["joy_low"] is row["joy_high"] is None
        assert row["admiration_high"] == pytest.approx(row["admiration"] + 0.25)
        assert row["admiration_low"] == pytest.approx(max(row["admiration"] - 0.25, 0))

    lines = [HEADER, *(f"{number:05d},{number / 10},0.5,0,0,0,1" for number in range(8))]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    told = ("--corpus", source, "--store", results, "--valid-share", "0.5")
    code, _, err = emi("labels", "add", tmp_path / "labels.csv", *told)
    assert code == 0, err
    asked = ("--labels", results, "--corpus", source, "--model", calibrated, "--json")
    code, out, err = emi("evaluate", *asked, EMI_HOME=str(tmp_path / "home"), **served)
    assert code == 0, err
    assert "prefect" not in without_slow_start(err).lower()
    *targets, mean = map(json.loads, out.splitlines())
    assert [row["target"] for row in targets] == list(EMI_TARGETS)
    assert [row["pearson"] is None for row in targets] == [False, *[True] * 5]
    labels = answer(results, "SELECT content_sha256, admiration FROM labels WHERE split = 'valid'")
    wanted = {row["content_sha256"]: row["admiration"] for row in labels.to_pylist()}
    errors = [
        abs(row["admiration"] - wanted[row["content_sha256"]])
        for row in rows
        if row["content_sha256"] in wanted
    ]
    (kept,) = answer(results, "SELECT mae FROM evaluations WHERE target = 'Admiration'").to_pylist()
    assert kept["mae"] == pytest.approx(sum(errors) / len(errors), abs=1e-4)
    assert (results / "plots" / f"{mean['evaluation_id']}.png").is_file()
