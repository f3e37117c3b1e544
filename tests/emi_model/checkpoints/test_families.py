"""Folders of HuBERT, WavLM, data2vec and wav2vec2-BERT, as transformers saves them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    Data2VecAudioModel,
    HubertForCTC,
    HubertModel,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertForCTC,
    WavLMConfig,
    WavLMForCTC,
    WavLMModel,
)

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.pretrained import load_backbone, read_backbone_arguments
from emi_model.errors import CheckpointError, ConfigError
from emi_model.targets import VAD_DIMENSIONS
from emi_model.training.first_weights import from_backbone
from emi_model.training.recipes import recipe_named
from tests.emi_model.architecture.backbones.families import ARGUMENTS

TARGETS = ("Joy", "Awe")
KINDS = (
    *(("hubert", HubertModel), ("hubert", HubertForCTC), ("wavlm", WavLMForCTC)),
    *(("data2vec-audio", Data2VecAudioModel), ("wav2vec2-bert", Wav2Vec2BertForCTC)),
)


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_hidden_states_are_those_of_transformers(
    family: str, kind: type[Any], tmp_path: Path, enliven: Callable[..., Any]
) -> None:
    theirs = enliven(kind(kind.config_class(**ARGUMENTS[family])))
    theirs.save_pretrained(tmp_path / "x")
    loaded = load_backbone(str(tmp_path / "x"))
    assert (loaded.family, loaded.num_layers, loaded.hop_seconds) == (family, 2, 0.02)
    model = from_backbone(recipe_named("debug"), TARGETS, loaded, fresh_head=True)
    waveform = 0.1 * np.random.default_rng(0).standard_normal(9_200).astype(np.float32)
    with torch.inference_mode():
        if family == "wav2vec2-bert":
            given = SeamlessM4TFeatureExtractor()(waveform, sampling_rate=16_000)
            given = torch.tensor(given["input_features"])
        else:
            given = torch.from_numpy(model.audio.spec.prepare(waveform))[None]
        expected = theirs.base_model(given).last_hidden_state
    found = model.eval().audio.backbone(
        torch.from_numpy(model.audio.spec.prepare(waveform))[None], torch.tensor([9_200])
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_raw_waveforms_where_the_folder_wants_them(
    tmp_path: Path, enliven: Callable[..., Any]
) -> None:
    enliven(WavLMModel(WavLMConfig(**ARGUMENTS["wavlm"]))).save_pretrained(tmp_path / "x")
    usual = load_backbone(str(tmp_path / "x"))
    assert "do_normalize" not in usual.arguments
    settings = tmp_path / "x" / "preprocessor_config.json"
    settings.write_text(json.dumps({"do_normalize": False, "sampling_rate": 16_000}))
    raw = load_backbone(str(tmp_path / "x"))
    assert raw.arguments["do_normalize"] is False
    assert read_backbone_arguments(tmp_path / "x") == raw.arguments
    assert raw.sha256 != usual.sha256
    settings.write_text(json.dumps({"sampling_rate": 8_000}))
    with pytest.raises(ConfigError, match="audio at 8000 Hz, expected 16000"):
        load_backbone(str(tmp_path / "x"))


def test_a_vad_head_in_the_public_layout(tmp_path: Path, enliven: Callable[..., Any]) -> None:
    model = enliven(EmiModel(EmiConfig(backbone=ARGUMENTS["wavlm"], targets=())))
    labels = {str(number): name for number, name in enumerate(VAD_DIMENSIONS)}
    (tmp_path / "config.json").write_text(json.dumps({"id2label": labels, **ARGUMENTS["wavlm"]}))
    state = {
        name.replace("backbone.", "", 1).replace("vad_head.", "classifier.", 1): weight
        for name, weight in model.state_dict().items()
    }
    save_file(state, tmp_path / "model.safetensors")
    loaded = load_backbone(str(tmp_path))
    assert (loaded.family, len(loaded.head)) == ("wavlm", 4)
    state["classifier.other"] = torch.zeros(1)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"not of this architecture: vad_head\.other"):
        load_backbone(str(tmp_path))
