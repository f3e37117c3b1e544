"""A second modality from this file alone: a branch, an extractor, and `EMI_PLUGINS` naming it.

The loudness contour of the waveform is fused with the audio. A silent clip has no contour: the
model takes it all the same, and its row says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emi_model.architecture.branch import Branch, BranchOutput, InputSpec
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.registry import register_branch
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.predict import Predictor
from emi_model.training.first_weights import from_scratch
from emi_model.training.fit import fit
from emi_model.training.recipes import recipe_named
from emi_model.units import SAMPLING_RATE
from tasks.extraction.audio import Extraction
from tasks.extraction.registry import ClipMedia, register_extractor
from tasks.labels.audio_cache import AudioCache
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import load_labelled_audio
from tasks.schema.outcomes import Reason, Rejection
from tasks.store.query import answer
from tests.tasks.labels.labelled_corpus import TARGETS, labelled_store

ROOT = Path(__file__).resolve().parents[2]
HOP = SAMPLING_RATE // 50
NEEDS = {"audio": True, "loudness": False}


@register_extractor("loudness", version=3, needs_audio=True)
def loudness(media: ClipMedia) -> NDArray[np.float32] | Rejection:
    """Give the level of each 20 ms, float32 (N, 1), of full scale; silence has none."""
    if not isinstance(media.audio, Extraction):
        return Rejection(reason=Reason.NO_AUDIO_TRACK, detail="no waveform")
    waveform = media.audio.waveform
    frames = waveform[: len(waveform) // HOP * HOP].reshape(-1, HOP).astype(np.float32) / 2**15
    levels = np.sqrt(np.square(frames).mean(axis=1, keepdims=True))
    if not levels.any():
        return Rejection(reason=Reason.NO_SAMPLES, detail="nothing but silence")
    return levels


@register_branch("loudness")
class LoudnessBranch(Branch):
    """A layer over each level of the contour."""

    def __init__(self, config: EmiConfig, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.feature_size = self.hidden_size = arguments["width"]
        self.hop_samples = HOP
        self.layer = nn.Linear(1, self.feature_size)
        self.spec = InputSpec(min_length=1, prepare=np.sqrt, rate=SAMPLING_RATE / HOP)

    def forward(
        self, values: Tensor, lengths: Tensor, *, dtype: torch.dtype | None = None
    ) -> BranchOutput:
        return BranchOutput(torch.tanh(self.layer(values)), lengths)


@pytest.fixture(scope="module")
def config() -> EmiConfig:
    branches = {"audio": {}, "loudness": {"width": 8, "optional": True}}
    return replace(recipe_named("debug").model, targets=TARGETS, branches=branches)


def test_trained_saved_loaded_and_scored_on_workers(
    config: EmiConfig,
    emi: Callable[..., tuple[int, str, str]],
    served: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    torch.set_num_threads(1)
    corpus, labels = labelled_store(tmp_path, ["train"] * 12 + ["valid"] * 6)
    audio = load_labelled_audio(
        load_labels(labels), str(corpus), ("train", "valid"), needs=config.needs
    )
    assert [*audio.of_split("train")[0].inputs] == ["audio", "loudness"]
    recipe = replace(recipe_named("debug"), model=config)
    model = from_scratch(recipe, TARGETS)
    first = {name: weight.clone() for name, weight in model.state_dict().items()}
    result = fit(
        model, audio.of_split("train"), audio.of_split("valid"), recipe.train, device="cpu"
    )
    assert len(result.history) == recipe.train.epochs
    for name in ("branches.loudness.layer.weight", "fusion.lstms.loudness.weight_hh_l0"):
        assert not torch.equal(first[name], model.state_dict()[name]), name

    folder = tmp_path / "two branches"
    save_checkpoint(folder, model, ModelCard("two", TARGETS))
    loaded = load_model(str(folder))
    assert loaded.modalities == NEEDS
    same = loaded.model.state_dict()
    assert all(torch.equal(same[name], weight) for name, weight in model.state_dict().items())

    soundfile.write(corpus / "silence.wav", np.zeros(6_400, np.int16), SAMPLING_RATE)
    (corpus / "text.wav").write_text("a text")
    code, out, err = emi(
        *("process", corpus, "--results", tmp_path / "results", "--model", folder),
        *("--coverage", "full", "--precision", "fp32", "--json"),
        EMI_PLUGINS=__name__,
        PYTHONPATH=str(ROOT),
        **served,
    )
    assert code == 0, err
    record = json.loads(out)
    assert (record["num_scored"], record["num_rejected"]) == (19, 1)
    columns = "clip_id, content_sha256, modalities, reason, noise, tone, arousal, num_frames"
    found = answer(tmp_path / "results", f"SELECT {columns} FROM scores").to_pylist()
    rows = {row["clip_id"]: row for row in found}
    assert rows.pop("text.wav")["reason"] == "unreadable"
    silent = rows.pop("silence.wav")
    assert silent["modalities"] == ["audio"]
    assert silent["noise"] is not None
    cache = AudioCache(tmp_path / "home" / "cache", NEEDS)
    predictor = Predictor(loaded.model, device="cpu", precision="fp32")
    for row in rows.values():
        assert row["modalities"] == ["audio", "loudness"]
        (scores,) = predictor([cache.inputs(row["content_sha256"])])
        expected = [*scores.emi.clip(0, 1), scores.vad_mean[0]]
        assert [row["noise"], row["tone"], row["arousal"]] == pytest.approx(expected, abs=1e-5)
        assert row["num_frames"] == scores.num_frames == 19


def test_neighbours_and_absence_of_a_modality_do_not_matter(config: EmiConfig) -> None:
    torch.manual_seed(0)
    model = from_scratch(replace(recipe_named("debug"), model=config), TARGETS)
    torch.nn.init.normal_(model.fusion.stand_ins["loudness"])
    rng = np.random.default_rng(0)
    clips = []
    for seconds in (1.0, 0.3, 2.0, 0.5):
        waveform = (3_000 * rng.standard_normal(int(seconds * 16_000))).astype(np.int16)
        contour = rng.uniform(size=(int(seconds * 50), 1)).astype(np.float32)
        clips += [{"audio": waveform, "loudness": contour}, {"audio": waveform}]
    predictor = Predictor(model, device="cpu", precision="fp32")
    together = predictor(clips)
    for clip, scores in zip(clips, together, strict=True):
        (alone,) = predictor([clip])
        assert scores.emi == pytest.approx(alone.emi, abs=1e-5)
        assert scores.vad_mean == pytest.approx(alone.vad_mean, abs=1e-5)
    for heard, lacking in zip(together[::2], together[1::2], strict=True):
        assert np.abs(heard.emi - lacking.emi).max() > 1e-3
        assert heard.vad_mean == pytest.approx(lacking.vad_mean, abs=1e-5)
