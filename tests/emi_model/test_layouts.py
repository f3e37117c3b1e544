"""Other people's weights: scores equal those of plain code that knows nothing of ours."""

from __future__ import annotations

import json
import pickle
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

from emi_model.card import UNKNOWN
from emi_model.checkpoint import load_checkpoint, save_checkpoint
from emi_model.errors import CheckpointError
from emi_model.layouts import (
    licence_of,
    load_authors_model,
    load_vad_model,
    read_pickle,
    translate,
)
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
    old = {"parametrizations.weight.original0": "weight_g"}
    old["parametrizations.weight.original1"] = "weight_v"
    renamed = {}
    for name, weight in state.items():
        for new in old:
            name = name.replace(new, old[new])
        renamed[name] = weight.contiguous()
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
    (folder / "config.json").write_text(json.dumps(public_config))
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
        ({"id2label": None}, "in this order"),
        ({"model_type": "hubert"}, "model_type is 'hubert'"),
        ({"model_type": None}, "model_type is None"),
    ],
)
def test_other_labels_or_models_are_refused(
    public_folder: Path, public_config: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    write_config(public_folder, {**public_config, **change})
    with pytest.raises(CheckpointError, match=said):
        load_vad_model(public_folder, "x")


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


def test_unknown_names_stay_as_they_are() -> None:
    state = {"wings.weight": torch.zeros(1), "audio_model.classifier.dense.bias": torch.ones(1)}
    assert translate(state).keys() == {"wings.weight", "vad_head.dense.bias"}


class Trap:
    """Touches a file when unpickled by whoever runs what a pickle holds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_not_run(
    public_folder: Path, public: PublicVadModel, tmp_path: Path, zipped: bool
) -> None:
    (public_folder / "model.safetensors").unlink()
    content = {**public.state_dict(), "trap": Trap(tmp_path / "sprung")}
    weights = public_folder / "pytorch_model.bin"
    torch.save(content, weights, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="pickled objects are refused") as caught:
        load_vad_model(public_folder, "x")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()
    torch.load(weights, weights_only=False)
    assert (tmp_path / "sprung").exists()  # the trap was set


@pytest.mark.parametrize(
    "content", [[torch.zeros(1)], {"a": 1}, {1: torch.zeros(1)}, {"model": {"a": torch.zeros(1)}}]
)
def test_more_than_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="found others"):
        read_pickle(tmp_path / "x.pth")


def damaged_files() -> list[bytes]:
    """Return files of which torch says that they are damaged, each in another way."""
    plain = pickle.dumps({"a": 1}, protocol=2)
    return [
        b"",
        b"no pickle",
        b"PK\x03\x04",
        plain[:-4],
        b"\x80\x02.",  # nothing to give
        b"\x80\x02}q\x00X\xff",  # a length of which bytes are missing
        b"\x80\x02h\x07.",  # a memo never made
    ]


@pytest.mark.parametrize("content", damaged_files())
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be loaded as plain tensors") as caught:
        read_pickle(tmp_path / "x.pth")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        read_pickle(tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        (
            "---\nlanguage: en\nlicense: cc-by-nc-sa-4.0\ntags:\n- x\n---\n# Model\n",
            "cc-by-nc-sa-4.0",
        ),
        ('---\nlicense: "mit"\n---\n', "mit"),
        ("---\nlanguage: en\n---\n\nlicense: mit\n", UNKNOWN),  # the text says much
        ("# Model\nlicense: mit\n", UNKNOWN),
        ("---\nlicense: mit\n", UNKNOWN),  # never closed
        ("", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_licence_is_what_the_front_matter_names(
    public_folder: Path, readme: str | None, licence: str
) -> None:
    if readme is not None:
        (public_folder / "README.md").write_text(readme)
    assert licence_of(public_folder) == licence
    assert load_vad_model(public_folder, "x").card.backbone_licence == licence


def test_licence_of_the_known_model_needs_no_readme(
    public_folder: Path, public_config: dict[str, Any]
) -> None:
    assert licence_of(public_folder) == UNKNOWN  # its config names no origin
    assert licence_of(public_folder, f"audeering/{PUBLIC_NAME}") == "CC-BY-NC-SA-4.0"
    copy = public_folder.rename(public_folder.parent / PUBLIC_NAME)
    assert licence_of(copy) == "CC-BY-NC-SA-4.0"
    write_config(copy, {**public_config, "_name_or_path": f"audeering/{PUBLIC_NAME}"})
    assert licence_of(copy.rename(copy.parent / "renamed")) == "CC-BY-NC-SA-4.0"
