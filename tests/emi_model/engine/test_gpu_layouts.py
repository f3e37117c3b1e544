"""What a GPU computes in another way gives what a CPU does; all but its kernels, on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emi_model.architecture.model import EmiModel
from emi_model.engine import layers
from emi_model.engine.backbone import Engine
from emi_model.engine.encoder import Clips, has_flash_attention
from emi_model.engine.layers import as_it_is, in_blocks

CPU = torch.device("cpu")


def attend_one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    other_bounds: torch.Tensor,
    longest: int,
    other_longest: int,
    *,
    scale: float,
) -> torch.Tensor:
    """What FlashAttention gives (N, heads, size) of clips end to end."""
    lengths = bounds.diff().tolist()
    assert (bounds.dtype, longest, other_longest) == (torch.int32, max(lengths), max(lengths))
    assert torch.equal(bounds, other_bounds)
    parts = zip(*(torch.split(each, lengths) for each in (query, key, value)), strict=True)
    found = [
        torch.nn.functional.scaled_dot_product_attention(
            *(each.transpose(0, 1) for each in part), scale=scale
        ).transpose(0, 1)
        for part in parts
    ]
    return torch.cat(found)


@torch.inference_mode()
def test_attention_of_all_clips_at_once_changes_nothing(
    tiny_model: Callable[..., EmiModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", attend_one_by_one)
    model_engine = Engine(tiny_model().audio.backbone)
    num_frames = [3, 20, 1, 41]
    alone, at_once = Clips.alone(num_frames), Clips.at_once(num_frames, CPU)
    hidden = torch.randn(sum(num_frames), 32)
    for layer in model_engine.layers:
        one, other = hidden.clone(), hidden.clone()
        layer(one, at_once)
        layer(other, alone)
        assert torch.allclose(one, other, atol=2e-5)
    assert not has_flash_attention(CPU, torch.bfloat16, 64)


@torch.inference_mode()
@pytest.mark.parametrize(
    "backbone",
    [
        {},
        {"conv_dim": [16, 16], "conv_kernel": [20, 16], "conv_stride": [20, 16]},
    ],
)
def test_a_convolution_in_two_products_is_the_same(
    tiny_model: Callable[..., EmiModel], monkeypatch: pytest.MonkeyPatch, backbone: dict[str, Any]
) -> None:
    model = tiny_model(backbone=backbone)
    clips = [torch.randn(length) for length in (50_000, 900, 32_080)]
    wanted = Engine(model.audio.backbone)(clips)
    monkeypatch.setattr(
        layers,
        "takes_two_products",
        lambda device, channels, kernel, stride: kernel > stride,
    )
    assert torch.allclose(Engine(model.audio.backbone)(clips), wanted, atol=2e-5)


@torch.inference_mode()
@pytest.mark.parametrize(("width", "dtype"), [(8, torch.float32), (16, torch.bfloat16)])
def test_narrow_groups_are_convolved_in_float32(width: int, dtype: torch.dtype) -> None:
    weight, values = torch.randn(2 * width, width, 16) / 16, torch.randn(90, 2 * width)
    found = as_it_is(weight.bfloat16(), None, 2)(values.bfloat16())
    assert found.dtype == dtype
    wanted = as_it_is(weight.bfloat16().float(), None, 2)(values.bfloat16().float())
    assert torch.allclose(found.float(), wanted, atol=0.05)


@torch.inference_mode()
@given(
    frames=st.integers(1, 80),
    taps=st.integers(1, 40),
    groups=st.integers(1, 3),
    has_bias=st.booleans(),
)
def test_a_convolution_in_blocks_is_the_same(
    frames: int, taps: int, groups: int, has_bias: bool
) -> None:
    channels = 5 * groups
    weight = torch.randn(channels, 5, taps) / taps**0.5
    bias = torch.randn(channels) if has_bias else None
    values = torch.randn(frames + taps - 1, channels)
    found = in_blocks(weight, bias, groups)(values)
    assert found.shape == (frames, channels)
    assert torch.allclose(found, as_it_is(weight, bias, groups)(values), atol=1e-4)
