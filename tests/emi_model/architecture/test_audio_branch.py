from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emi_model.architecture.backbones.base import Backbone, FrameGeometry
from emi_model.architecture.backbones.registry import backbone_config, build_backbone
from emi_model.architecture.branch import frame_mask
from emi_model.architecture.config import WAV2VEC2_LARGE_ROBUST_12
from emi_model.audio.batching import pad
from emi_model.errors import ConfigError

STANDARD = FrameGeometry([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])
STACKS = st.lists(st.tuples(st.integers(1, 10), st.integers(1, 5)), min_size=1, max_size=5)


def geometry_of(stack: list[tuple[int, int]]) -> FrameGeometry:
    return FrameGeometry([kernel for kernel, _ in stack], [stride for _, stride in stack])


def frames_of(geometry: FrameGeometry, *num_samples: int) -> list[int]:
    frames: list[int] = geometry.num_frames(torch.tensor(num_samples)).tolist()
    return frames


def frames_by_torch(stack: list[tuple[int, int]], num_samples: int) -> int:
    """Return how many frames torch's own convolutions give; too short an input is an error."""
    values = torch.zeros(1, 1, num_samples)
    for kernel, stride in stack:
        if values.shape[-1] < kernel:
            return 0
        values = torch.nn.functional.conv1d(values, torch.ones(1, 1, kernel), stride=stride)
    return values.shape[-1]


def test_frames_of_the_standard_stack() -> None:
    assert frames_of(STANDARD, 16_000, 192_000) == [49, 599]
    assert frames_of(STANDARD, 0, 1, 399, 400, 719, 720) == [0, 0, 0, 1, 1, 2]
    assert (STANDARD.min_samples, STANDARD.hop_samples) == (400, 320)


def test_the_papers_backbone_has_the_standard_stack() -> None:
    config = backbone_config(WAV2VEC2_LARGE_ROBUST_12)
    assert FrameGeometry(config.conv_kernel, config.conv_stride).layers == STANDARD.layers


@given(st.integers(400, 400 * 16_000))
def test_standard_stack_in_closed_form(num_samples: int) -> None:
    assert frames_of(STANDARD, num_samples) == [(num_samples - 400) // 320 + 1]


@given(STACKS, st.lists(st.integers(0, 3_000), min_size=1, max_size=5))
def test_frames_are_those_of_torchs_convolutions(
    stack: list[tuple[int, int]], num_samples: list[int]
) -> None:
    expected = [frames_by_torch(stack, samples) for samples in num_samples]
    assert frames_of(geometry_of(stack), *num_samples) == expected


@given(STACKS)
def test_min_samples_is_the_least_that_gives_a_frame(stack: list[tuple[int, int]]) -> None:
    geometry = geometry_of(stack)
    least = geometry.min_samples
    assert frames_of(geometry, least, least - 1) == [1, 0]
    steps = [least + hops * geometry.hop_samples for hops in range(4)]
    assert frames_of(geometry, *steps) == [1, 2, 3, 4]
    assert frames_of(geometry, *[step - 1 for step in steps]) == [0, 1, 2, 3]


def test_frame_mask() -> None:
    assert frame_mask(torch.tensor([1, 3]), 3).tolist() == [[True, False, False], [True] * 3]


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_hidden_states_are_zero_behind_a_clips_end(
    tiny_backbone: Callable[..., dict[str, Any]],
    enliven: Callable[..., Backbone],
    noises: Callable[..., list[np.ndarray]],
    norm: str,
) -> None:
    backbone = enliven(build_backbone(tiny_backbone(feat_extract_norm=norm)))
    with torch.inference_mode():
        hidden = backbone(*pad(noises([4_000, 400, 2_000])))
    num_frames = frames_of(backbone.geometry, 4_000, 400, 2_000)
    assert hidden.shape == (3, max(num_frames), 32)
    for row, frames in zip(hidden, num_frames, strict=True):
        assert not row[frames:].any()
        assert row[:frames].abs().amax(dim=-1).min() > 0.01


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_an_odd_stack_gives_the_frames_its_geometry_says(
    tiny_backbone: Callable[..., dict[str, Any]],
    noises: Callable[..., list[np.ndarray]],
    norm: str,
) -> None:
    stack = {"conv_dim": [16] * 3, "conv_kernel": [7, 4, 2], "conv_stride": [4, 3, 2]}
    backbone = build_backbone(tiny_backbone(feat_extract_norm=norm, **stack)).eval()
    lengths = [900, 901, 1_300]
    with torch.inference_mode():
        hidden = backbone(*pad(noises(lengths)))
    assert hidden.shape[1] == max(frames_of(backbone.geometry, *lengths))


def test_group_norm_backbones_ask_for_equal_lengths(
    tiny_backbone: Callable[..., dict[str, Any]],
) -> None:
    needs = [
        build_backbone(tiny_backbone(feat_extract_norm=norm)).needs_equal_lengths
        for norm in ("layer", "group")
    ]
    assert needs == [False, True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"add_adapter": True}, "add_adapter"),
        ({"hidden_size": "32"}, "hidden_size"),
        ({"hidden_size": 30}, "divisible"),
        ({"conv_kernel": [10, 3]}, "convolutional layers"),
        ({"num_conv_pos_embedding_groups": 5}, "divisible"),
        ({"feat_extract_norm": "batch"}, "batch"),
        ({"hidden_act": "nope"}, "nope"),
    ],
)
def test_arguments_that_make_no_backbone_are_refused(
    tiny_backbone: Callable[..., dict[str, Any]], arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        build_backbone(tiny_backbone(**arguments))
    assert "\n" not in str(caught.value)
