"""Every family: the hidden states of transformers, and a clip's own in any batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emi_model.architecture.backbones.base import Backbone
from emi_model.architecture.backbones.kept import KeptFrames
from emi_model.architecture.backbones.registry import (
    backbone_config,
    build_backbone,
    family_of,
    geometry_of,
)
from emi_model.architecture.backbones.whisper import WhisperBackbone
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.longest_clip import LONGEST_SAMPLES
from emi_model.architecture.model import EmiModel
from emi_model.audio.batching import pad
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.errors import ConfigError
from emi_model.predict import Predictor
from tests.emi_model.architecture.backbones.families import ARGUMENTS

Enliven = Callable[..., Any]
Noises = Callable[..., list[np.ndarray]]

LENGTHS = st.lists(st.integers(560, 20_000), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def backbones(enliven: Enliven) -> dict[str, Backbone]:
    """Return a tiny backbone of each family whose every weight matters."""
    return {name: enliven(build_backbone(given)) for name, given in ARGUMENTS.items()}


def encoded(backbone: Backbone, clips: list[np.ndarray]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = backbone(*pad([backbone.prepare(clip) for clip in clips]))
    return found


def config_of(name: str, *targets: str, **fields: Any) -> EmiConfig:
    return EmiConfig(backbone=ARGUMENTS[name], targets=targets, clip_seconds=1.25, **fields)


@pytest.mark.parametrize("name", ARGUMENTS)
@settings(max_examples=6)
@given(lengths=LENGTHS)
def test_hidden_states_are_a_clips_own(
    backbones: dict[str, Backbone], noises: Noises, name: str, lengths: list[int]
) -> None:
    backbone, clips = backbones[name], noises(lengths)
    together = encoded(backbone, clips)
    num_frames: list[int] = backbone.geometry.num_frames(torch.tensor(lengths)).tolist()
    assert together.shape[1:] == (max(num_frames), backbone.hidden_size)
    for row, clip, frames in zip(together, clips, num_frames, strict=True):
        (alone,) = encoded(backbone, [clip])
        assert len(alone) == frames
        torch.testing.assert_close(row[:frames], alone, rtol=0, atol=1e-5)
        assert not row[frames:].any()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_each_frame_is_of_its_time_and_one_is_the_least(
    backbones: dict[str, Backbone], noises: Noises, name: str
) -> None:
    geometry = backbones[name].geometry
    assert geometry.hop_samples == geometry_of(ARGUMENTS[name]).hop_samples == 320
    (clip,) = noises([geometry.min_samples])
    assert encoded(backbones[name], [clip]).shape == (1, 1, 32)
    assert int(geometry.num_frames(torch.tensor(geometry.min_samples - 1))) == 0
    assert EmiConfig(backbone=ARGUMENTS[name]).hidden_size == backbones[name].hidden_size


@pytest.mark.parametrize("name", ARGUMENTS)
def test_scores_of_a_saved_model_are_those_of_the_clip_alone(
    enliven: Enliven,
    noises: Noises,
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    tmp_path: Path,
    name: str,
) -> None:
    model = enliven(EmiModel(config_of(name, "Joy", "Awe")))
    save_checkpoint(tmp_path / "x", model, ModelCard("x", ("Joy", "Awe")))
    loaded = load_checkpoint(tmp_path / "x")
    assert loaded.config.backbone == ARGUMENTS[name]
    clips = noises([9_000, 5_000, 9_320])
    found = [scores_of(scores) for scores in Predictor(loaded.model)(clips)]
    for scores, clip in zip(found, clips, strict=True):
        (alone,) = Predictor(model)([clip])
        assert largest_difference(scores, scores_of(alone)) < 1e-5
    assert largest_difference(found[0], found[0]) == 0
    assert abs(found[0]["emi"] - found[1]["emi"]).max() > 1e-3


@pytest.mark.parametrize("name", ARGUMENTS)
def test_bfloat16_moves_scores_by_little(enliven: Enliven, noises: Noises, name: str) -> None:
    model = enliven(EmiModel(config_of(name, "Joy")))
    clips = noises([9_000, 5_000])
    exact, rounded = (Predictor(model, precision=kind)(clips) for kind in ("fp32", "bf16"))
    for one, other in zip(exact, rounded, strict=True):
        assert 0 < abs(one.global_vector - other.global_vector).max() < 0.2


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_backbone_that_is_not_trained_stays_as_it_is(noises: Noises, name: str) -> None:
    torch.manual_seed(0)
    frozen = {"audio": {"trained": False}}
    model = EmiModel(config_of(name, "Joy", branches=frozen))
    model.train()
    branch = model.audio
    branch.freeze_first_layers(frozen=False)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained
    assert not any("backbone" in name for name in trained)
    clip = pad([branch.spec.prepare(clip) for clip in noises([4_000])])
    assert torch.equal(branch.backbone(*clip), branch.backbone(*clip))  # no dropout, no masks


@pytest.mark.parametrize("name", ARGUMENTS)
def test_training_with_masks_reaches_every_layer_but_frozen_first_ones(
    noises: Noises, name: str
) -> None:
    masks = {"apply_spec_augment": True, "mask_time_prob": 0.2, "mask_feature_prob": 0.1}
    torch.manual_seed(0)
    backbone = build_backbone({**ARGUMENTS[name], **masks, "mask_feature_length": 4})
    backbone.train()
    for frozen in (True, False):
        backbone.zero_grad()
        backbone.freeze_first_layers(frozen=frozen)
        for lengths in ([8_000, 6_000], [700, 700]):  # the second: shorter than a mask
            clips = [backbone.prepare(clip) for clip in noises(lengths)]
            backbone(*pad(clips)).square().sum().backward()
        idle = {name for name, weight in backbone.named_parameters() if weight.grad is None}
        first = {name for name in idle if "embed_positions" not in name and "masked" not in name}
        assert bool(first) == frozen


@pytest.mark.parametrize("name", ARGUMENTS)
def test_upper_layers_are_left_out(name: str) -> None:
    whole, cut = (build_backbone({**ARGUMENTS[name], "max_layers": most}) for most in (9, 1))
    left_out = whole.state_dict().keys() - cut.state_dict().keys()
    assert left_out
    assert all(".layers.1." in weight for weight in left_out)
    assert cut.state_dict().keys() < whole.state_dict().keys()


def test_normalised_or_raw() -> None:
    waveform = np.array([0.0, 0.5, -0.25, 0.25] * 200, np.float32)
    for name, arguments in ARGUMENTS.items():
        prepared = build_backbone(arguments).prepare(waveform)
        raw = name in ("wavlm, group norm", "wav2vec2-bert", "whisper", "whisper, silence")
        assert (abs(float(prepared.std()) - 1) > 0.1) == raw
        assert prepared.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model_type": "unispeech"}, "model_type 'unispeech', expected one of wav2vec2, hubert"),
        ({**ARGUMENTS["hubert"], "conv_pos_batch_norm": True}, "conv_pos_batch_norm"),
        ({**ARGUMENTS["wav2vec2-bert"], "position_embeddings_type": "rotary"}, "'rotary'"),
        ({**ARGUMENTS["wav2vec2-bert"], "add_adapter": True}, "add_adapter"),
        ({**ARGUMENTS["wav2vec2-bert"], "feature_projection_input_dim": 161}, "161"),
        ({**ARGUMENTS["whisper"], "encoder_attention_heads": 5}, "divisible"),
        ({**ARGUMENTS["whisper"], "silence_seconds": -1}, "silence_seconds is -1"),
        ({**ARGUMENTS["hubert"], "max_layers": 0}, "max_layers is 0, expected 1 or more"),
        ({**ARGUMENTS["wavlm"], "hidden_size": "32"}, "no wavlm config"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        build_backbone(arguments)
    assert "\n" not in str(caught.value)


def test_windows_that_whisper_has_no_positions_for_are_refused() -> None:
    short = {**ARGUMENTS["whisper"], "max_source_positions": 50}
    with pytest.raises(ConfigError, match=r"clip_seconds is 12\.0, expected at most 1"):
        EmiModel(EmiConfig(backbone=short))
    assert EmiModel(EmiConfig(backbone=short, clip_seconds=1.0)).hidden_size == 32


def test_arguments_without_a_family_are_wav2vec2s() -> None:
    plain = {k: v for k, v in ARGUMENTS["wav2vec2"].items() if k != "model_type"}
    assert family_of(plain) is family_of(ARGUMENTS["wav2vec2"])
    assert backbone_config(plain).model_type == "wav2vec2"
    config = EmiConfig(backbone=plain)
    assert "model_type" not in config.to_dict()["backbone"]
    with pytest.raises(ConfigError, match=r"backbone.d_model is 'wide'"):
        EmiConfig.from_dict(
            {**config.to_dict(), "backbone": {"model_type": "whisper", "d_model": "wide"}}
        )


def test_kept_frames_are_encoded_once_and_are_those_of_the_backbone(
    enliven: Enliven, noises: Noises, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = {"audio": {"trained": False}}
    branch = enliven(EmiModel(config_of("whisper", "Joy", branches=frozen))).audio
    waveforms, lengths = pad([branch.spec.prepare(clip) for clip in noises([9_000, 5_000])])
    expected = branch(waveforms, lengths)
    num_encoded = 0
    encode = WhisperBackbone.encode

    def counted(backbone: WhisperBackbone, *given: Any) -> torch.Tensor:
        nonlocal num_encoded
        num_encoded += 1
        return encode(backbone, *given)

    monkeypatch.setattr(WhisperBackbone, "encode", counted)
    branch.keep_outputs(kept=True)
    copied = copy.deepcopy(branch)
    first, again = branch(waveforms, lengths), copied(waveforms[:1], lengths[:1])
    assert num_encoded == 2
    torch.testing.assert_close(first.features, expected.features, rtol=0, atol=1e-5)
    assert torch.equal(first.features[:1], again.features)
    branch.keep_outputs(kept=False)
    branch(waveforms, lengths)
    assert num_encoded == 3


def test_what_there_is_no_room_for_is_encoded_each_time(
    backbones: dict[str, Backbone], noises: Noises
) -> None:
    kept, backbone = KeptFrames(max_bytes=0), backbones["whisper"]
    clip = pad(noises([5_000]))
    assert torch.equal(kept(backbone, *clip, None), kept(backbone, *clip, None))
    assert not kept._kept


def test_nothing_is_kept_where_a_clip_is_read_as_in_a_batch_of_longer_ones(
    enliven: Enliven, noises: Noises
) -> None:
    authors = {"audio": {"trained": False, LONGEST_SAMPLES: 12_000}}
    branch = enliven(EmiModel(config_of("wav2vec2", "Joy", branches=authors))).audio
    clip = pad([branch.spec.prepare(clip) for clip in noises([5_000])])
    expected = branch(*clip)
    branch.keep_outputs(kept=True)
    found = branch(*clip)
    assert torch.equal(found.num_frames, expected.num_frames)
    assert torch.equal(found.features, expected.features)


def test_what_is_kept_in_files_is_encoded_once_for_all_models_of_a_backbone(
    enliven: Enliven, noises: Noises, tmp_path: Path
) -> None:
    frozen = {"audio": {"trained": False}}
    one, other = (enliven(EmiModel(config_of("whisper", "Joy", branches=frozen))) for _ in "ab")
    other.load_state_dict(one.state_dict())
    clip = pad([one.audio.spec.prepare(clip) for clip in noises([5_000])])
    for model in (one, other):
        model.audio.share_outputs(tmp_path)
        model.audio.keep_outputs(kept=True)
    first = one.audio(*clip).features
    (file,) = tmp_path.glob("audio-frames-*/*/*.npy")
    other.audio.backbone.encode = None  # type: ignore[assignment,method-assign]
    assert torch.equal(other.audio(*clip).features, first)
    file.write_bytes(file.read_bytes()[:-4])  # cut short: encoded again
    one.audio.keep_outputs(kept=False)
    one.audio.keep_outputs(kept=True)
    assert torch.equal(one.audio(*clip).features, first)
    with torch.no_grad():
        next(one.audio.backbone.parameters()).add_(1.0)
    one.audio.share_outputs(tmp_path)
    one.audio.keep_outputs(kept=True)
    assert len({*tmp_path.iterdir()}) == 1
    one.audio.keep_outputs(kept=False)
    one.audio.keep_outputs(kept=True)
    one.audio(*clip)
    assert len({*tmp_path.iterdir()}) == 2
