"""The joint multimodal transformer against the same in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.attention.jmt import steps_of
from emi_model.architecture.fusions.fusion import Fused
from emi_model.architecture.fusions.registry import build_fusion
from emi_model.errors import ConfigError
from tests.emi_model.architecture.fusions.plain import (
    BRANCHES,
    WIDTHS,
    Array,
    Clip,
    check,
    check_gradients,
    fusion_named,
    layer_norm,
    linear,
    made_clips,
    outputs_of,
    softmax,
    weights_of,
)

SMALL: Mapping[str, Any] = {"size": 6, "steps": 4, "num_heads": 2, "head_size": 12}

Weights = Mapping[str, Array]


def attended(weights: Weights, at: str, asking: Array, others: Array) -> Array:
    """Return what tokens (N, D) find in others (M, D)."""
    query, key, value = (
        values @ weight.T + bias
        for values, weight, bias in zip(
            (asking, others, others),
            np.split(weights[f"{at}.in_proj_weight"], 3),
            np.split(weights[f"{at}.in_proj_bias"], 3),
            strict=True,
        )
    )
    heads = [
        softmax(query[:, own] @ key[:, own].T / np.sqrt(len(own))) @ value[:, own]
        for own in np.split(np.arange(asking.shape[1]), SMALL["num_heads"])
    ]
    return linear(weights, f"{at}.out_proj", np.hstack(heads))


def encoded(weights: Weights, at: str, tokens: Array) -> Array:
    found = tokens + attended(weights, f"{at}.attention", tokens, tokens)
    found = layer_norm(weights, f"{at}.norm", found)
    hidden = np.maximum(linear(weights, f"{at}.feed_forward.0", found), 0)
    return layer_norm(
        weights, f"{at}.last_norm", found + linear(weights, f"{at}.feed_forward.2", hidden)
    )


def steps_in(frames: Array) -> Array:
    """Return the means of equal parts of frames (F, D), each at least a frame."""
    count, steps = len(frames), SMALL["steps"]
    return np.stack(
        [
            frames[step * count // steps : -(-(step + 1) * count // steps)].mean(axis=0)
            for step in range(steps)
        ]
    )


def stream(weights: Weights, name: str, clip: Clip) -> Array:
    if name not in clip:
        return np.tile(weights[f"stand_ins.{name}"], (SMALL["steps"], 1))
    tokens = linear(weights, f"project.{name}", steps_in(clip[name]))
    return tokens / np.linalg.norm(tokens, axis=1, keepdims=True)


def plain(weights: Weights, clip: Clip, read_out: str) -> Array:
    streams = {name: stream(weights, name, clip) for name in WIDTHS}
    streams["joint"] = linear(weights, "join", np.hstack(list(streams.values())))
    tokens = {name: encoded(weights, f"encoders.{name}", own) for name, own in streams.items()}
    found = [
        attended(weights, f"cross.{asking}", tokens[asking], tokens[other])
        for asking, other in permutations(tokens, 2)
    ]
    if read_out == "concat":
        read = linear(weights, "mix_all", np.hstack(found))
    else:
        read = np.stack(
            [
                attended(weights, "last", *(2 * [encoded(weights, "mix", step)])).mean(axis=0)
                for step in np.stack(found, axis=1)
            ]
        )
    scores = []
    for target in range(3):
        hidden = np.maximum(linear(weights, f"heads.{target}.0", read), 0)
        scores.append(linear(weights, f"heads.{target}.3", hidden).mean())
    return np.array(scores)


@pytest.mark.parametrize("read_out", ["self_attention", "concat"])
def test_any_subset_alone_and_in_a_batch(read_out: str) -> None:
    fusion = fusion_named("jmt", required=(), read_out=read_out, **SMALL)
    weights = weights_of(fusion)
    check(fusion, made_clips(with_audio=False), lambda clip: plain(weights, clip, read_out))


def test_gradients_reach_every_weight() -> None:
    check_gradients(fusion_named("jmt", required=(), **SMALL))


@pytest.mark.parametrize(("modalities", "cross"), [(("audio",), 2), (("audio", "text"), 6)])
def test_two_modalities_and_what_is_joint_have_six_pairs(
    modalities: tuple[str, ...], cross: int
) -> None:
    config = EmiConfig(
        targets=("Joy",),
        branches={name: {} for name in modalities},
        fusion={"name": "jmt", "read_out": "concat", **SMALL},
    )
    fusion = build_fusion(config, {name: BRANCHES[name] for name in modalities}).eval()
    shape = fusion.state_dict()["mix_all.weight"].shape
    assert shape == (2 * SMALL["size"], cross * SMALL["size"])
    clip = {name: np.ones((2, WIDTHS[name])) for name in modalities}
    outputs = {name: outputs_of([clip])[name] for name in modalities}
    assert fusion(outputs, 1).shape == (1, 1)


def test_the_published_widths() -> None:
    config = EmiConfig(
        targets=("Joy", "Awe"),
        branches={"audio": {}, "vision": {}},
        fusion={"name": "jmt", "size": 512, "read_out": "concat"},
    )
    with torch.device("meta"):
        fusion = build_fusion(config, {"audio": Fused(512), "vision": Fused(512)})
    shapes = {name: tuple(weight.shape) for name, weight in fusion.state_dict().items()}
    assert shapes["join.weight"] == (512, 1024)
    assert shapes["mix_all.weight"] == (1024, 3072)
    assert shapes["heads.1.0.weight"] == (128, 1024)


def test_steps_take_each_clips_own_frames_alone() -> None:
    frames = torch.arange(10.0).view(1, 10, 1).repeat(3, 1, 1)
    found = steps_of(frames, torch.tensor([8, 1, 3]), 4)[..., 0]
    assert found.tolist() == [[0.5, 2.5, 4.5, 6.5], [0, 0, 0, 0], [0, 0.5, 1.5, 2]]
    frames[0, 8:] = torch.nan
    assert torch.equal(steps_of(frames, torch.tensor([8, 1, 3]), 4)[0, :, 0], found[0])


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ({"size": 9, "num_heads": 2}, "fusion.size is 9, expected a multiple of num_heads, 2"),
        ({"steps": 0}, "fusion.steps is 0, expected 1 or more"),
        ({"read_out": "last"}, "fusion.read_out is 'last', expected 'self_attention' or 'concat'"),
    ],
)
def test_what_does_not_fit_is_refused(fusion: dict[str, Any], expected: str) -> None:
    config = EmiConfig(branches={name: {} for name in WIDTHS}, fusion={"name": "jmt", **fusion})
    with pytest.raises(ConfigError, match=expected):
        build_fusion(config, BRANCHES)


def test_a_modality_cannot_be_called_joint() -> None:
    config = EmiConfig(branches={"joint": {}}, fusion={"name": "jmt"}, vad_head=False)
    with pytest.raises(ConfigError, match="found a modality 'joint', expected another name"):
        build_fusion(config, {"joint": Fused(4)})
