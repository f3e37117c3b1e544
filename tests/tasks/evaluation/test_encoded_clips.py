"""Frozen encoders run once for a clip: later trainings read what they made."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emi_model.architecture.encoder_branch import EncoderBranch
from emi_model.architecture.model import EmiModel
from emi_model.architecture.registry import register_branch
from emi_model.architecture.text_branch import TextBranch
from emi_model.errors import CorpusError
from emi_model.training.fit import fit
from emi_model.training.recipes import recipe_named
from tasks.evaluation.encoded_clips import with_encoded
from tasks.evaluation.evaluate import predict
from tasks.extraction.registry import ClipMedia, register_extractor
from tasks.labels.audio_cache import AudioCache
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import LabelledAudio, load_labelled_audio
from tasks.schema.outcomes import Reason, Rejection
from tests.emi_model.architecture.tiny_encoders import TEXT_BRANCHES
from tests.tasks.labels.labelled_corpus import TARGETS, labelled_store

NEEDS = {"audio": True, "said": False}


@register_extractor("said", version=4, key=lambda _: "ab12")
def said(media: ClipMedia) -> NDArray[np.uint8] | Rejection:
    """Give words by the file's name; clip 002 says nothing."""
    number = int(media.path.stem)
    if number == 2:
        return Rejection(reason=Reason.NO_SPEECH, detail="nothing")
    return np.frombuffer(b" so glad" * (number + 1), np.uint8)


@register_branch("said")
class Said(TextBranch):
    """A text branch under another name, whose extractor needs no speech recognition."""


def model_of(**arguments: Any) -> EmiModel:
    torch.manual_seed(0)
    said = {**TEXT_BRANCHES["hashed_words"], "optional": True, "trained": False, **arguments}
    model = recipe_named("debug").model
    return EmiModel(replace(model, targets=TARGETS, branches={"audio": {}, "said": said}))


@pytest.fixture
def audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabelledAudio:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    corpus, store = labelled_store(tmp_path, ["train"] * 5 + ["valid"] * 3)
    return load_labelled_audio(load_labels(store), str(corpus), ("train", "valid"), needs=NEEDS)


def files(home: Path) -> Mapping[Path, int]:
    folders = (home / "cache").glob("said-v4-ab12-e*")
    return {p: p.stat().st_mtime_ns for each in folders for p in each.rglob("*") if p.is_file()}


def test_a_training_reads_what_was_encoded_and_learns_the_same(
    audio: LabelledAudio, tmp_path: Path
) -> None:
    recipe = recipe_named("debug").train
    models = [model_of(), model_of()]
    sets = [audio.of_split("train"), audio.of_split("valid")]
    raw = fit(models[0], *sets, recipe, device="cpu")
    encoded = [with_encoded(models[1], clips, device="cpu") for clips in sets]
    written = files(tmp_path / "home")
    assert len(written) == 8
    assert [path.suffix for path in written].count(".absent") == 1
    # neither texts nor the encoder are needed from here on
    shutil.rmtree(tmp_path / "home" / "cache" / "said-v4-ab12")
    assert [*encoded[0][0].inputs] == ["audio", "said"]
    assert encoded[0][0].inputs["said"].shape == (1, 16)
    assert [*encoded[0][2].inputs] == ["audio"]
    found = fit(models[1], *encoded, recipe, device="cpu")
    assert [e.train_loss for e in found.history] == pytest.approx(
        [e.train_loss for e in raw.history], abs=1e-5
    )
    for name, weight in models[0].state_dict().items():
        torch.testing.assert_close(models[1].state_dict()[name], weight, rtol=0, atol=1e-4)
    predicted = predict(models[1], sets[1])  # an evaluation finds them by the same hash
    assert predicted == pytest.approx(predict(models[0], sets[1]), abs=1e-4)
    assert files(tmp_path / "home") == written


def test_another_encoder_has_a_folder_of_its_own_and_a_trained_one_none(
    audio: LabelledAudio, tmp_path: Path
) -> None:
    clips = audio.of_split("valid")
    assert with_encoded(model_of(trained=True), clips) == clips
    assert files(tmp_path / "home") == {}
    for other in ({}, {"pooling": "mean"}, {}):
        with_encoded(model_of(**other), clips, device="cpu")
    written = files(tmp_path / "home")
    assert len(written) == 6
    first = with_encoded(model_of(), clips, device="cpu")[0]
    assert with_encoded(model_of(), [first], device="cpu")[0].folders == first.folders
    branch = model_of().each_branch()["said"]
    assert isinstance(branch, EncoderBranch)
    folder = first.folders["said"]
    assert folder == f"said-v4-ab12-e{branch.encoder_sha256()[:12]}"
    assert set(written) == set(files(tmp_path / "home"))
    file = next(path for path in written if folder in str(path) and path.match("*.npy"))
    damaged = replace(first, content_sha256=file.stem)
    file.write_bytes(b"")
    with pytest.raises(CorpusError, match=r"cannot be read .* remove it and run again"):
        damaged.inputs["said"]


def test_a_model_without_encoders_leaves_clips_as_they_are(audio: LabelledAudio) -> None:
    model = EmiModel(replace(recipe_named("debug").model, targets=TARGETS))
    clips = audio.of_split("train")
    assert with_encoded(model, clips) == clips


def test_what_a_clip_was_thought_to_lack_is_encoded_once_it_is_there(audio: LabelledAudio) -> None:
    (lacking,) = [clip for clip in audio.of_split("train") if clip.absent]
    for _ in range(2):
        assert with_encoded(model_of(), [lacking], device="cpu")[0].absent == ("said",)
    raw = AudioCache(lacking.cache, {"said": False}, folders=lacking.folders)
    raw.keep(lacking.content_sha256, "said", np.frombuffer(b"so glad", np.uint8))
    (found,) = with_encoded(model_of(), [lacking], device="cpu")
    assert found.absent == ()
    assert found.inputs["said"].shape == (1, 16)
