"""`transformers.AutoModel` loads this project's checkpoints."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.auto import AutoEmiConfig, AutoEmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.errors import AudioError, CheckpointError
from emi_model.predict import Predictor
from tests.tiny import BACKBONE

WHISPER = {
    "model_type": "whisper",
    "d_model": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE, lstm_layers=1)
    save_checkpoint(tmp_path / "m", EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return tmp_path / "m"


def test_the_auto_classes_give_the_scores_of_the_predictor(folder):
    model = AutoModel.from_pretrained(folder)
    assert isinstance(model, AutoEmiModel)
    assert not model.training
    assert model.emi_model.config == load_checkpoint(folder).model.config
    generator = np.random.default_rng(0)
    clips = [generator.normal(0.1, 0.1, length).astype(np.float32) for length in (4_000, 6_000)]
    batch = torch.zeros(2, 6_000)
    for row, clip in enumerate(clips):
        batch[row, : len(clip)] = torch.from_numpy(clip)
    with torch.inference_mode():
        found = model(batch, torch.tensor([4_000, 6_000])).emi
        alone = model(batch[1:]).emi
    expected = Predictor(load_checkpoint(folder).model, precision="fp32", device="cpu")(clips)
    for row, scores in zip(found, expected, strict=True):
        assert torch.allclose(row, torch.from_numpy(scores.emi), atol=1e-5)
    assert torch.allclose(alone[0], found[1], atol=1e-5)


def test_the_config_alone_builds_the_same_architecture(folder):
    config = AutoConfig.from_pretrained(folder)
    assert isinstance(config, AutoEmiConfig)
    built = AutoModel.from_config(config)
    assert built.emi_model.config == load_checkpoint(folder).model.config


@pytest.mark.parametrize("backbone", [{**BACKBONE, "do_normalize": False}, WHISPER])
def test_waveforms_are_prepared_as_the_backbone_wants_them(tmp_path, backbone):
    torch.manual_seed(0)
    model = EmiModel(EmiConfig(backbone=backbone, lstm_layers=1)).eval()
    save_checkpoint(tmp_path / "m", model, ModelCard("tiny", model.config.targets))
    clip = np.random.default_rng(0).normal(0.1, 0.01, 4_000).astype(np.float32)
    with torch.inference_mode():
        found = AutoModel.from_pretrained(tmp_path / "m")(torch.from_numpy(clip)[None]).emi
    (scores,) = Predictor(model, precision="fp32", device="cpu")([clip])
    assert torch.allclose(found[0], torch.from_numpy(scores.emi), atol=1e-5)


def test_the_config_alone_keeps_branches_fusion_and_output(tmp_path):
    fields = {"branches": {"audio": {"trained": False}}, "fusion": {"name": "concat"}}
    config = EmiConfig(backbone=BACKBONE, output="sigmoid", **fields)
    save_checkpoint(tmp_path / "m", EmiModel(config), ModelCard("tiny", config.targets))
    built = AutoModel.from_config(AutoConfig.from_pretrained(tmp_path / "m"))
    assert built.emi_model.config == config


def test_what_does_not_fit_is_refused_in_words(folder, tmp_path):
    with pytest.raises(AudioError, match=r"shape \(1, 2, 4000\), expected \(B, S\)"):
        AutoModel.from_pretrained(folder)(torch.zeros(1, 2, 4_000))
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError):
        AutoModel.from_pretrained(folder)
