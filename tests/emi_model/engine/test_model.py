"""Clips laid end to end score as the model does on padded batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emi_model.architecture.branch import Padded
from emi_model.architecture.fusions.fusion import last_state
from emi_model.architecture.model import EmiModel
from emi_model.audio.batching import pad
from emi_model.audio.waveform import normalise, to_float
from emi_model.engine import model as streams
from emi_model.engine.model import RaggedModel, normalised_there
from emi_model.engine.packed_linear import packed
from emi_model.engine.packed_lstm import PackedLstm
from emi_model.errors import AudioError

SHAPES: dict[str, dict[str, Any]] = {
    "all": {},
    "VAD alone": {"targets": ()},
    "no VAD": {"vad_head": False},
    "no LSTM": {"lstm": False},
    "one layer, no global vector": {"lstm_layers": 1, "global_vector": False},
}
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=SHAPES)
def model(request: pytest.FixtureRequest, tiny_model: Callable[..., EmiModel]) -> EmiModel:
    return tiny_model(**SHAPES[request.param])


@torch.inference_mode()
def test_in_float32_every_output_is_the_model_s(
    model: EmiModel, noises: Callable[..., list[np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    waveforms = noises([9_000, 400, 3_000, 20_001, 720, 3_000])
    wanted = model({"audio": Padded(*pad([normalise(waveform) for waveform in waveforms]))})
    for samples in (1, 10_000, 10**6):
        monkeypatch.setattr(streams, "STREAM_SAMPLES", {"cpu": samples})
        found = RaggedModel(model, torch.float32)(waveforms)
        for name, value in vars(wanted).items():
            other = getattr(found, name)
            if value is None:
                assert other is None
            else:
                assert torch.allclose(other.float(), value.float(), atol=1e-5), name


@torch.inference_mode()
@settings(max_examples=25)
@given(
    num_frames=st.lists(st.integers(1, 70), min_size=1, max_size=9),
    size=st.integers(1, 40),
    layers=st.integers(1, 3),
)
def test_last_states_are_those_of_the_lstm(num_frames: list[int], size: int, layers: int) -> None:
    lstm = torch.nn.LSTM(size, size, layers, batch_first=True)
    clips = [torch.randn(frames, size) for frames in num_frames]
    padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    wanted = last_state(lstm, padded, torch.tensor(num_frames))
    assert torch.allclose(PackedLstm(lstm)(torch.cat(clips), num_frames), wanted, atol=1e-6)


@torch.inference_mode()
def test_last_states_in_bfloat16_stay_near() -> None:
    lstm = torch.nn.LSTM(40, 40, 2, batch_first=True)
    num_frames = [30, 1, 70]
    clips = [torch.randn(frames, 40) for frames in num_frames]
    padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    wanted = last_state(lstm, padded, torch.tensor(num_frames))
    found = PackedLstm(lstm, torch.bfloat16)(torch.cat(clips), num_frames)
    assert found.dtype == torch.float32
    assert torch.allclose(found, wanted, atol=0.02)


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_products_without_packing_are_the_same(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, apart: float, has_bias: bool
) -> None:
    weight, values = torch.randn(33, 17).to(dtype), torch.randn(5, 17).to(dtype)
    bias = torch.randn(33).to(dtype) if has_bias else None
    ready = packed(weight, bias)(values)
    assert ready.dtype == dtype
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert torch.allclose(packed(weight, bias)(values), ready, atol=apart)


@given(
    lengths=st.lists(st.integers(1, 900), min_size=1, max_size=6),
    gain=st.sampled_from([0, 1, 300, 32_767]),
    seed=st.integers(0, 1_000),
)
def test_normalised_on_the_device_as_in_numpy(lengths: list[int], gain: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    waveforms = [draw.integers(-gain, gain + 1, length).astype(np.int16) for length in lengths]
    for found, waveform in zip(normalised_there(waveforms, CPU), waveforms, strict=True):
        assert torch.allclose(found, torch.from_numpy(normalise(to_float(waveform))), atol=1e-5)


def test_samples_that_are_not_finite_are_refused(tiny_model: Callable[..., EmiModel]) -> None:
    with pytest.raises(AudioError, match="not finite"):
        RaggedModel(tiny_model(), torch.float32)([np.full(500, np.nan, np.float32)])
