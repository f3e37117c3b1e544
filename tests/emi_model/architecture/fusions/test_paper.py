from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from emi_model.architecture.audio_branch import VadHead
from emi_model.architecture.branch import BranchOutput, masked_mean
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, last_state
from emi_model.architecture.fusions.paper import PaperFusion

FRAMES = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def fusion_of(config: EmiConfig) -> PaperFusion:
    """Return the fusion of a model with audio alone."""
    return PaperFusion(config, {"audio": Fused(config.feature_size)})


def fused(
    fusion: PaperFusion, features: torch.Tensor, mean: torch.Tensor, num_frames: torch.Tensor
) -> torch.Tensor:
    output = BranchOutput(features, num_frames, mean)
    return fusion({"audio": output}, len(features))


def padded(num_frames: list[int], width: int, behind: float = 0.0) -> torch.Tensor:
    """Return noise (B, F, width) with a constant behind each clip's last frame."""
    generator = torch.Generator().manual_seed(sum(num_frames))
    values = torch.randn(len(num_frames), max(num_frames), width, generator=generator)
    for row, frames in zip(values, num_frames, strict=True):
        row[frames:] = behind
    return values


@given(FRAMES)
def test_masked_mean_is_each_clips_own(num_frames: list[int]) -> None:
    values = padded(num_frames, 5, behind=1e6)
    found = masked_mean(values, torch.tensor(num_frames))
    for row, frames, mean in zip(values, num_frames, found, strict=True):
        torch.testing.assert_close(mean, row[:frames].mean(dim=0), rtol=0, atol=1e-6)


@given(FRAMES, st.integers(1, 3))
def test_last_state_is_that_of_the_clip_alone(num_frames: list[int], num_layers: int) -> None:
    lstm = nn.LSTM(6, 6, num_layers, batch_first=True)
    values = padded(num_frames, 6, behind=1e3)
    with torch.inference_mode():
        found = last_state(lstm, values, torch.tensor(num_frames))
        for row, frames, state in zip(values, num_frames, found, strict=True):
            alone, _ = lstm(row[None, :frames])  # no packing: what the top layer says at the end
            torch.testing.assert_close(state, alone[0, -1], rtol=0, atol=1e-6)


def test_vad_head_is_linear_tanh_linear(enliven: Callable[..., VadHead]) -> None:
    head = enliven(VadHead(8, dropout=0.5))
    hidden = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    weights = dict(head.named_parameters())
    dense = torch.tanh(hidden @ weights["dense.weight"].T + weights["dense.bias"])
    expected = dense @ weights["out_proj.weight"].T + weights["out_proj.bias"]
    with torch.inference_mode():
        found = head(hidden)
    assert found.shape == (2, 5, 3)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_vad_head_drops_out_while_it_learns(enliven: Callable[..., VadHead]) -> None:
    head = enliven(VadHead(8, dropout=0.5)).train()
    torch.manual_seed(0)
    with torch.inference_mode():
        first, second = head(torch.ones(1, 8)), head(torch.ones(1, 8))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("switches", "weights"),
    [
        ({}, {"layers.0.weight": (70, 70), "layers.2.weight": (6, 70)}),
        ({"regression_head": False}, {"layers.0.weight": (6, 70)}),
        ({"lstm": False}, {"layers.0.weight": (35, 35), "layers.2.weight": (6, 35)}),
        ({"targets": ("Joy",), "vad_head": False, "global_vector": False}, {}),
    ],
)
def test_layers_follow_the_switches(
    tiny_backbone: Callable[..., dict[str, Any]],
    switches: dict[str, Any],
    weights: dict[str, tuple[int, int]],
) -> None:
    config = EmiConfig(backbone=tiny_backbone(), **switches)
    fusion = fusion_of(config)
    shapes = {name: tuple(weight.shape) for name, weight in fusion.named_parameters()}
    assert weights.items() <= shapes.items()
    assert any(name.startswith("lstm.") for name in shapes) == config.lstm
    num_frames = torch.tensor([4, 2])
    features = padded([4, 2], config.feature_size)
    with torch.inference_mode():
        emi = fused(fusion, features, masked_mean(features, num_frames), num_frames)
    assert emi.shape == (2, config.num_targets)


def test_global_vector_goes_before_the_state(
    tiny_backbone: Callable[..., dict[str, Any]],
) -> None:
    fusion = fusion_of(EmiConfig(backbone=tiny_backbone(), regression_head=False, targets=("Joy",)))
    features, num_frames = padded([3], 35), torch.tensor([3])
    assert fusion.lstm is not None
    with torch.inference_mode():
        mean = masked_mean(features, num_frames)
        joined = torch.cat([mean, last_state(fusion.lstm, features, num_frames)], dim=-1)
        found = fused(fusion, features, mean, num_frames)
        torch.testing.assert_close(found, fusion.layers(joined))


@pytest.mark.parametrize(
    ("branch", "other"), [("global_vector", "lstm"), ("lstm", "global_vector")]
)
def test_an_ablation_hears_its_branch_alone(
    tiny_backbone: Callable[..., dict[str, Any]],
    enliven: Callable[..., PaperFusion],
    branch: str,
    other: str,
) -> None:
    """Frames in another order have the same mean and leave the LSTM in another state."""
    fusion = enliven(fusion_of(EmiConfig(backbone=tiny_backbone(), **{other: False})))
    features, num_frames = padded([6], 35), torch.tensor([6])
    with torch.inference_mode():
        mean = masked_mean(features, num_frames)
        straight, backwards = (
            fused(fusion, order, mean, num_frames) for order in (features, features.flip(1))
        )
    assert torch.equal(straight, backwards) == (branch == "global_vector")
