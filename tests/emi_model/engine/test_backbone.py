"""Clips laid end to end score as the padded model does: the engine against its reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emi_model.architecture.model import EmiModel
from emi_model.audio.batching import plan_ragged
from emi_model.engine import backbone as engine
from emi_model.engine import encoder
from emi_model.engine.backbone import Engine, fits
from emi_model.engine.encoder import CHUNK_ROWS, Clips
from emi_model.engine.int8 import Int8Linear

BACKBONES: dict[str, dict[str, Any]] = {
    "stable": {"num_hidden_layers": 2},
    "post": {"do_stable_layer_norm": False, "num_hidden_layers": 2},
    "without conv bias": {"conv_bias": False},
    "odd positional kernel": {"num_conv_pos_embeddings": 15},
    "wide first layer": {
        "conv_dim": [16, 16, 16],
        "conv_kernel": [256, 8, 3],
        "conv_stride": [40, 4, 2],
    },
    "kernels of one stride": {
        "conv_dim": [16, 16],
        "conv_kernel": [20, 16],
        "conv_stride": [20, 16],
    },
}
LENGTHS = st.lists(st.integers(900, 9_000), min_size=1, max_size=6)


def expected(model: EmiModel, clips: list[torch.Tensor]) -> list[torch.Tensor]:
    """The reference: each clip alone through the model's own backbone."""
    return [model.audio.backbone(clip[None], torch.tensor([len(clip)]))[0] for clip in clips]


@pytest.fixture(scope="module", params=BACKBONES)
def model(request: pytest.FixtureRequest, tiny_model: Callable[..., EmiModel]) -> EmiModel:
    return tiny_model(backbone=BACKBONES[request.param])


@torch.inference_mode()
@settings(max_examples=15)
@given(lengths=LENGTHS, seed=st.integers(0, 1_000))
def test_in_float32_hidden_states_are_those_of_the_backbone(
    model: EmiModel, lengths: list[int], seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    clips = [torch.randn(length, generator=draw) for length in lengths]
    found, wanted = Engine(model.audio.backbone)(clips), torch.cat(expected(model, clips))
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, atol=2e-5)


@torch.inference_mode()
def test_pieces_and_long_attention_change_nothing(
    tiny_model: Callable[..., EmiModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    clips = [torch.randn(length) for length in (50_000, 400, 32_080, 32_079, 70_000)]
    wanted = torch.cat(expected(model, clips))
    for chunk, plain in ((1, 2_048), (7, 10), (1_000, 100)):
        monkeypatch.setattr(engine, "CHUNK_FRAMES", {"cpu": chunk})
        monkeypatch.setattr(encoder, "MAX_PLAIN_FRAMES", plain)
        assert torch.allclose(Engine(model.audio.backbone)(clips), wanted, atol=2e-5)


@torch.inference_mode()
@settings(max_examples=15)
@given(lengths=LENGTHS)
@example(lengths=[4_000] * 3)
def test_attention_in_groups_as_on_a_gpu_changes_nothing(
    model: EmiModel, lengths: list[int]
) -> None:
    clips = [torch.randn(length) for length in sorted(lengths)]
    model_engine = Engine(model.audio.backbone)
    num_frames = model_engine.num_frames(clips)
    alone, together = Clips.alone(num_frames), Clips.together(num_frames, torch.device("cpu"))
    assert together.groups is not None
    assert sum(len(group.own) for group in together.groups) == sum(num_frames)
    hidden = torch.randn(sum(num_frames), model.config.hidden_size)
    for layer in model_engine.layers:
        one, other = hidden.clone(), hidden.clone()
        layer(one, together)
        layer(other, alone)
        assert torch.allclose(one, other, atol=2e-5)


@torch.inference_mode()
@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("int8", [True, False])
def test_frames_in_chunks_are_the_same(
    tiny_model: Callable[..., EmiModel],
    monkeypatch: pytest.MonkeyPatch,
    norm_first: bool,
    int8: bool,
) -> None:
    backbone = tiny_model(
        backbone={"num_hidden_layers": 2, "do_stable_layer_norm": norm_first}
    ).audio.backbone
    clips = [torch.randn(length) for length in (16_000, 4_000, 9_000)]
    whole = Engine(backbone, int8=int8)(clips)
    assert len(whole) > 7
    monkeypatch.setitem(CHUNK_ROWS, "cpu", 7)
    assert torch.allclose(Engine(backbone, int8=int8)(clips), whole, atol=2e-5)


@torch.inference_mode()
def test_bfloat16_stays_near(tiny_model: Callable[..., EmiModel]) -> None:
    model = tiny_model(backbone={"num_hidden_layers": 2})
    clips = [torch.randn(length) for length in (16_000, 4_000)]
    found, wanted = (
        Engine(model.audio.backbone, torch.bfloat16)(clips),
        torch.cat(expected(model, clips)),
    )
    assert found.dtype == torch.float32
    assert float((found - wanted).abs().mean() / wanted.std()) < 0.02


def test_what_is_normalised_over_time_does_not_fit(tiny_model: Callable[..., EmiModel]) -> None:
    group = {"feat_extract_norm": "group", "do_stable_layer_norm": False}
    assert fits(tiny_model().audio.backbone)
    assert not fits(tiny_model(backbone=group).audio.backbone)


@given(lengths=st.lists(st.integers(1, 500), max_size=40), bound=st.integers(1, 1_000))
def test_streams_hold_every_clip_once_and_no_more_than_they_may(
    lengths: list[int], bound: int
) -> None:
    streams = plan_ragged(lengths, bound)
    assert sorted(index for stream in streams for index in stream) == list(range(len(lengths)))
    for stream in streams:
        total = sum(lengths[index] for index in stream)
        assert total <= bound or len(stream) == 1
    assert np.all(np.diff([lengths[index] for stream in streams for index in stream]) >= 0)


@torch.inference_mode()
@given(rows=st.integers(1, 20), seed=st.integers(0, 1_000))
def test_int8_rounds_each_row_on_its_own(rows: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    linear = torch.nn.Linear(48, 24)
    values = torch.randn(rows, 48, generator=draw) * 10 ** torch.randn(rows, 1, generator=draw)
    values[0] = 0
    product = Int8Linear.of(linear, torch.float32)
    found, wanted = product(values), linear(values)
    scales = values.abs().amax(1) * 48**0.5
    assert bool(((found - wanted).abs().amax(1) <= 0.01 * scales + 1e-6).all())
    alone = torch.cat([product(values[row : row + 1]) for row in range(rows)])
    assert torch.allclose(found, alone, atol=1e-6, rtol=1e-5)
