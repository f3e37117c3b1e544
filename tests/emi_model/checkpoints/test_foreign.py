"""Other people's weights: scores equal those of plain code that knows nothing of ours."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from emi_model.checkpoints.card import UNKNOWN
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.checkpoints.foreign import load_authors_model, load_vad_model
from emi_model.errors import CheckpointError
from emi_model.predict import Predictor
from emi_model.targets import EMI_TARGETS

TOLERANCE = 1e-5
PUBLIC_NAME = "wav2vec2-large-robust-12-ft-emotion-msp-dim"
LENGTHS = [8_000, 400, 719, 720, 8_100, 3_333, 16_000]
BACKBONES: dict[str, dict[str, Any]] = {
    "stable": {},
    "post": {"do_stable_layer_norm": False, "num_conv_pos_embeddings": 15},
    "group": {"do_stable_layer_norm": False, "feat_extract_norm": "group"},
}
EXTRACTOR = Wav2Vec2FeatureExtractor(do_normalize=True, sampling_rate=16_000)


class RegressionHead(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, 3)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.out_proj(torch.tanh(self.dense(hidden)))


class PublicVadModel(nn.Module):
    """The public VAD model: the head on the mean hidden state."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        config = Wav2Vec2Config(**arguments)
        self.wav2vec2 = Wav2Vec2Model(config)
        self.classifier = RegressionHead(config.hidden_size)

    def hidden(self, waveform: np.ndarray) -> torch.Tensor:
        values = EXTRACTOR(waveform, sampling_rate=16_000, return_tensors="pt")["input_values"]
        return self.wav2vec2(values).last_hidden_state[0]

    def forward(self, waveform: np.ndarray) -> torch.Tensor:
        return self.classifier(self.hidden(waveform).mean(dim=0))


class AuthorsModel(nn.Module):
    """The paper's model, one unpadded clip at a time."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        width = arguments["hidden_size"] + 3
        self.audio_model = PublicVadModel(arguments)
        self.lstm_audio = nn.LSTM(width, width, 2, batch_first=True)
        self.fusion_model = nn.Sequential(
            nn.Linear(2 * width, 2 * width), nn.Tanh(), nn.Linear(2 * width, 6)
        )

    def forward(self, waveform: np.ndarray) -> dict[str, torch.Tensor]:
        hidden = self.audio_model.hidden(waveform)
        vad = torch.stack([self.audio_model.classifier(frame) for frame in hidden])
        features = torch.cat([hidden, vad], dim=1)
        global_vector = features.mean(dim=0)
        states, _ = self.lstm_audio(features[None])
        return {
            "emi": self.fusion_model(torch.cat([global_vector, states[0, -1]])),
            "vad_mean": vad.mean(dim=0),
            "vad_of_mean": self.audio_model.classifier(hidden.mean(dim=0)),
            "frame_vad": vad,
            "global_vector": global_vector,
        }


def old_spelling(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the state with the positional convolution's weight norm as torch 1 named it."""
    renamed = {}
    for name, weight in state.items():
        old = name.replace("parametrizations.weight.original0", "weight_g")
        old = old.replace("parametrizations.weight.original1", "weight_v")
        renamed[old] = weight.contiguous()
    assert renamed.keys() != state.keys()
    return renamed


def same_spelling(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    assert any("parametrizations.weight.original0" in name for name in state)
    return {name: weight.contiguous() for name, weight in state.items()}


@pytest.fixture
def public_config(tiny_backbone: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Return a config.json as the public model's, with its oddities, narrow."""
    return {
        "_name_or_path": "torch",
        "add_adapter": False,
        "apply_spec_augment": True,
        "architectures": ["Wav2Vec2ForSpeechClassification"],
        "finetuning_task": "wav2vec2_reg",
        "gradient_checkpointing": False,
        "hidden_dropout_prob": 0.1,
        "id2label": {"0": "arousal", "1": "dominance", "2": "valence"},
        "label2id": {"arousal": 0, "dominance": 1, "valence": 2},
        "model_type": "wav2vec2",
        "num_feat_extract_layers": 7,
        "pad_token_id": 0,
        "pooling_mode": "mean",
        "problem_type": "regression",
        "torch_dtype": "float32",
        "transformers_version": "4.17.0.dev0",
        "xvector_output_dim": 512,
        **tiny_backbone(),
    }


@pytest.fixture
def public(
    tiny_backbone: Callable[..., dict[str, Any]], enliven: Callable[..., PublicVadModel]
) -> PublicVadModel:
    return enliven(PublicVadModel(tiny_backbone()), 5)


@pytest.fixture
def public_folder(tmp_path: Path, public: PublicVadModel, public_config: dict[str, Any]) -> Path:
    folder = tmp_path / "public"
    folder.mkdir()
    write_config(folder, public_config)
    save_file(old_spelling(public.state_dict()), folder / "model.safetensors")
    return folder


def write_config(folder: Path, config: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("spelling", [old_spelling, same_spelling])
@pytest.mark.parametrize("name", BACKBONES)
def test_authors_weights_score_as_in_their_code(
    tmp_path: Path,
    tiny_backbone: Callable[..., dict[str, Any]],
    enliven: Callable[..., AuthorsModel],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    name: str,
    spelling: Callable[..., dict[str, torch.Tensor]],
) -> None:
    arguments = tiny_backbone(**BACKBONES[name])
    authors = enliven(AuthorsModel(arguments), 7)
    torch.save(OrderedDict(spelling(authors.state_dict())), tmp_path / "best.pth")
    write_config(tmp_path, arguments)
    model, card = load_authors_model(tmp_path / "best.pth", tmp_path, "CC0-1.0")
    assert (card.name, card.targets, card.backbone_licence) == ("best", EMI_TARGETS, "CC0-1.0")
    waveforms = noises(LENGTHS)
    found = Predictor(model, device="cpu")(waveforms)
    with torch.inference_mode():
        for scores, waveform in zip(found, waveforms, strict=True):
            expected = {key: value.numpy() for key, value in authors(waveform).items()}
            assert largest_difference(scores_of(scores), expected) <= TOLERANCE


def test_imported_weights_make_a_checkpoint(
    tmp_path: Path,
    tiny_backbone: Callable[..., dict[str, Any]],
    enliven: Callable[..., AuthorsModel],
    public_config: dict[str, Any],
) -> None:
    authors = enliven(AuthorsModel(tiny_backbone()), 7)
    torch.save(authors.state_dict(), tmp_path / "best.pth")
    folder = tmp_path / PUBLIC_NAME
    folder.mkdir()
    write_config(folder, public_config)
    model, card = load_authors_model(tmp_path / "best.pth", folder)
    assert (card.backbone, card.backbone_licence) == (PUBLIC_NAME, "CC-BY-NC-SA-4.0")
    save_checkpoint(tmp_path / "ours", model, card)
    loaded = load_checkpoint(tmp_path / "ours")
    assert loaded.card == card
    weight = loaded.model.state_dict()["fusion.layers.0.weight"]
    assert torch.equal(weight, authors.state_dict()["fusion_model.0.weight"])


def test_half_of_the_authors_weights_are_refused(
    tmp_path: Path, tiny_backbone: Callable[..., dict[str, Any]]
) -> None:
    state = AuthorsModel(tiny_backbone()).audio_model.state_dict(prefix="audio_model.")
    torch.save(state, tmp_path / "half.pth")
    write_config(tmp_path, tiny_backbone())
    with pytest.raises(CheckpointError, match="12 weights missing"):
        load_authors_model(tmp_path / "half.pth", tmp_path)


@pytest.mark.parametrize("spelling", [old_spelling, same_spelling])
@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_public_vad_model_scores_as_in_its_card(
    public_folder: Path,
    public: PublicVadModel,
    noises: Callable[..., list[np.ndarray]],
    weights: str,
    spelling: Callable[..., dict[str, torch.Tensor]],
) -> None:
    (public_folder / "model.safetensors").unlink()
    save = save_file if weights == "model.safetensors" else torch.save
    save(spelling(public.state_dict()), public_folder / weights)
    loaded = load_vad_model(public_folder, "owner/public")
    assert (loaded.card.name, loaded.card.backbone) == ("owner/public", "owner/public")
    assert loaded.model.config.targets == loaded.card.targets == ()
    waveforms = noises(LENGTHS)
    with torch.inference_mode():
        for scores, waveform in zip(
            Predictor(loaded.model, device="cpu")(waveforms), waveforms, strict=True
        ):
            expected = public(waveform).numpy()
            np.testing.assert_allclose(scores.vad_of_mean, expected, rtol=0, atol=TOLERANCE)
            assert scores.emi is None


def test_public_vad_model_makes_a_checkpoint(public_folder: Path, tmp_path: Path) -> None:
    loaded = load_vad_model(public_folder, "owner/public")
    save_checkpoint(tmp_path / "ours", loaded.model, loaded.card)
    again = load_checkpoint(tmp_path / "ours")
    assert again.card == loaded.card
    ours, theirs = again.model.state_dict(), loaded.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_hash_names_the_weights_that_were_read(public_folder: Path, public: PublicVadModel) -> None:
    before = load_vad_model(public_folder, "x").sha256
    (public_folder / "model.safetensors").unlink()
    torch.save(public.state_dict(), public_folder / "pytorch_model.bin")
    after = load_vad_model(public_folder, "x").sha256
    assert len(before) == len(after) == 64
    assert before != after


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id2label": {"0": "valence", "1": "arousal", "2": "dominance"}}, "in this order"),
        ({"id2label": {"1": "arousal", "0": "dominance", "2": "valence"}}, "in this order"),
        ({"id2label": {"0": "arousal", "1": "dominance"}}, "in this order"),
        ({"id2label": None}, "is a plain wav2vec2 model, expected one with a head for arousal"),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, "is a plain wav2vec2 model"),
        ({"id2label": ["arousal"]}, r"config.json: id2label is \['arousal'\], expected names"),
        ({"model_type": "unispeech"}, "model_type is 'unispeech'"),
        ({"model_type": None}, "model_type is None"),
    ],
)
def test_other_labels_or_models_are_refused(
    public_folder: Path, public_config: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    write_config(public_folder, {**public_config, **change})
    with pytest.raises(CheckpointError, match=said):
        load_vad_model(public_folder, "x")


def test_licence_travels_with_the_model(public_folder: Path) -> None:
    assert load_vad_model(public_folder, "x").card.backbone_licence == UNKNOWN
    (public_folder / "README.md").write_text("---\nlicense: cc-by-nc-sa-4.0\n---\n")
    assert load_vad_model(public_folder, "x").card.backbone_licence == "cc-by-nc-sa-4.0"


def test_labels_may_be_capitalised(public_folder: Path, public_config: dict[str, Any]) -> None:
    labels = {"2": "Valence", "0": "Arousal", "1": "DOMINANCE"}
    write_config(public_folder, {**public_config, "id2label": labels})
    assert load_vad_model(public_folder, "x").model.config.vad_head


@pytest.mark.parametrize(
    "missing", ["classifier.out_proj.weight", "wav2vec2.encoder.pos_conv_embed.conv.weight_g"]
)
def test_a_weight_is_never_newly_initialised(
    public_folder: Path, public: PublicVadModel, missing: str
) -> None:
    state = old_spelling(public.state_dict())
    del state[missing]
    save_file(state, public_folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="1 weights missing"):
        load_vad_model(public_folder, "x")


def test_a_folder_without_weights_is_refused(public_folder: Path) -> None:
    (public_folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        load_vad_model(public_folder, "x")
