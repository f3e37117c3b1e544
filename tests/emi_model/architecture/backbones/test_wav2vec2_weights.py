"""A wav2vec2 backbone as its weights alone: the same scores, without `transformers`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from emi_model.architecture.backbones.wav2vec2_weights import (
    Wav2Vec2Weights,
    built_to_score,
    weights_to_score,
)
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.errors import CheckpointError
from emi_model.predict import Predictor
from tests.tiny import BACKBONE

CLIPS = [
    np.random.default_rng(length).integers(-9000, 9000, length).astype(np.int16)
    for length in (9_000, 400, 20_000)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny checkpoint with random weights."""
    torch.manual_seed(0)
    config = EmiConfig(backbone={**BACKBONE, "num_hidden_layers": 3, "max_layers": 2})
    made: Path = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(made, EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return made


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_scores_are_those_of_the_whole_model(folder: Path, precision: str) -> None:
    whole, alone = load_model(str(folder)).model, load_model(str(folder), to_score=True).model
    assert isinstance(alone.audio.backbone.get_submodule("wav2vec2"), Wav2Vec2Weights)
    states = whole.state_dict(), alone.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(weight, states[1][name]) for name, weight in states[0].items())
    expected, found = (Predictor(model, precision=precision)(CLIPS) for model in (whole, alone))
    for one, other in zip(expected, found, strict=True):
        assert np.array_equal(one.emi, other.emi)
        assert np.array_equal(one.frame_vad, other.frame_vad)


def test_to_run_it_takes_the_model_around_the_same_weights(folder: Path) -> None:
    alone = load_model(str(folder), to_score=True).model
    whole = load_model(str(folder)).model
    waveforms, lengths = torch.randn(2, 9_000), torch.tensor([9_000, 5_000])
    with torch.inference_mode():
        found = alone.audio.backbone(waveforms, lengths)
        assert torch.equal(found, whole.audio.backbone(waveforms, lengths))
    assert len(alone.state_dict()) == len(whole.state_dict())  # its weights do not count twice


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    with built_to_score(), torch.device("meta"):
        model = EmiModel(EmiConfig(backbone={**BACKBONE, "num_hidden_layers": 3}))
    assert isinstance(model.audio.backbone.get_submodule("wav2vec2"), Wav2Vec2Weights)
    text = (folder / "config.json").read_text()
    (folder.parent / "other").mkdir()
    for file in folder.iterdir():
        (folder.parent / "other" / file.name).write_bytes(file.read_bytes())
    wrong = text.replace('"max_layers": 2', '"max_layers": 3')
    (folder.parent / "other" / "config.json").write_text(wrong)
    with pytest.raises(CheckpointError, match="weights missing"):
        load_model(str(folder.parent / "other"), to_score=True)


@pytest.mark.parametrize(
    "odd",
    [
        {"feat_extract_norm": "group"},
        {"do_stable_layer_norm": False},
        {"hidden_act": "relu"},
        {"adapter_attn_dim": 8},
        {"num_attention_heads": 5},
        {"conv_kernel": [10, 3]},
        {"max_layers": 0},
        {"max_layers": "all"},
    ],
)
def test_other_shapes_are_for_transformers_to_build_or_to_refuse(odd: dict[str, object]) -> None:
    with built_to_score():
        assert weights_to_score(BACKBONE) is not None
        assert weights_to_score({**BACKBONE, **odd}) is None
    assert weights_to_score(BACKBONE) is None, "a training needs the model"


def test_a_clip_is_scored_without_transformers_and_compilers(folder: Path) -> None:
    code = (
        "import gc, sys; gc.disable()\n"
        "import numpy as np\n"
        "from emi_model.checkpoints.load import load_model\n"
        "from emi_model.predict import Predictor\n"
        f"model = load_model({str(folder)!r}, to_score=True).model\n"
        "assert Predictor(model, precision='bf16')([np.ones(9_000, np.int16)])\n"
        "heavy = {'transformers', 'torch._dynamo', 'sympy', 'scipy', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
