"""TAEMI's fusion against the same in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused
from emi_model.architecture.fusions.registry import build_fusion
from emi_model.errors import ConfigError
from tests.emi_model.architecture.fusions.plain import (
    Array,
    Clip,
    check,
    fusion_named,
    gelu,
    layer_norm,
    linear,
    made_clips,
    softmax,
    weights_of,
)

HEADS = 2


def attended(weights: dict[str, Array], name: str, query: Array, frames: Array) -> Array:
    asked = layer_norm(weights, f"{name}.ln_q", linear(weights, f"{name}.q_proj", query))
    keys = layer_norm(weights, f"{name}.ln_kv", linear(weights, f"{name}.k_proj", frames))
    values = linear(weights, f"{name}.v_proj", frames)
    size = len(asked) // HEADS
    parts = []
    for head in range(HEADS):
        own = slice(head * size, (head + 1) * size)
        parts.append(softmax(keys[:, own] @ asked[own] / np.sqrt(size)) @ values[:, own])
    return linear(weights, f"{name}.out_proj", np.concatenate(parts))


def test_any_subset_alone_and_in_a_batch() -> None:
    fusion = fusion_named("text_anchored", size=8, num_heads=HEADS)
    weights = weights_of(fusion)

    def plain(clip: Clip) -> Array:
        query = clip.get("text", weights["miss_text"])[0]
        audio = clip.get("audio", weights["miss_audio"][0])
        vision = clip.get("vision", weights["miss_vision"][0])
        parts = [
            query,
            attended(weights, "ca_audio", query, audio),
            attended(weights, "ca_vision", query, vision),
        ]
        hidden = linear(weights, "pred_head.0", np.concatenate(parts))
        return linear(weights, "pred_head.3", gelu(hidden))

    check(fusion, made_clips(with_audio=False), plain)


def test_sizes_and_names_are_those_of_the_published_code() -> None:
    widths = {"text": Fused(768, False), "audio": Fused(1027), "vision": Fused(768)}
    config = EmiConfig(branches={name: {} for name in widths}, fusion={"name": "text_anchored"})
    state = build_fusion(config, widths).state_dict()

    def size(prefix: str) -> int:
        return sum(weight.numel() for name, weight in state.items() if name.startswith(prefix))

    assert (size("ca_audio."), size("ca_vision."), size("pred_head.")) == (
        1_711_104,
        1_445_888,
        921_094,
    )
    shapes = {name: tuple(state[f"miss_{name}"].shape) for name in widths}
    assert shapes == {"text": (1, 768), "audio": (1, 1, 1027), "vision": (1, 1, 768)}
    assert all(0.01 < float(state[f"miss_{name}"].std()) < 0.03 for name in widths)


@pytest.mark.parametrize(
    ("branches", "heads", "expected"),
    [
        ({"audio": Fused(4)}, 2, "expected 'text' among them"),
        ({"text": Fused(4, False)}, 3, "expected a multiple of num_heads, 3"),
    ],
)
def test_what_does_not_fit_is_refused(
    branches: dict[str, Fused], heads: int, expected: str
) -> None:
    fusion = {"name": "text_anchored", "size": 8, "num_heads": heads}
    config = EmiConfig(branches={name: {} for name in branches}, fusion=fusion, vad_head=False)
    with pytest.raises(ConfigError, match=expected):
        build_fusion(config, branches)
