"""MimicMetrics' fusion against the same in plain numpy."""

from __future__ import annotations

import numpy as np

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused
from emi_model.architecture.fusions.registry import build_fusion
from tests.emi_model.architecture.fusions.plain import (
    WIDTHS,
    Array,
    Clip,
    check,
    check_gradients,
    fusion_named,
    gelu,
    layer_norm,
    linear,
    made_clips,
    read,
    weights_of,
)


def test_any_subset_alone_and_in_a_batch() -> None:
    fusion = fusion_named("pooled", required=(), size=5)
    weights = weights_of(fusion)

    def block(clip: Clip, name: str) -> Array:
        vector = read(weights, clip, name, "attention")
        normed = layer_norm(weights, f"blocks.{name}.0", vector)
        hidden = gelu(linear(weights, f"blocks.{name}.1", normed))
        return layer_norm(weights, f"blocks.{name}.4", hidden)

    def plain(clip: Clip) -> Array:
        found = np.concatenate([block(clip, name) for name in WIDTHS])
        hidden = gelu(linear(weights, "head.2", layer_norm(weights, "head.0", found)))
        return linear(weights, "head.5", hidden)

    check(fusion, made_clips(with_audio=False), plain)


def test_gradients_reach_every_weight() -> None:
    check_gradients(fusion_named("pooled", required=(), size=5))


def test_sizes_are_those_of_the_published_code() -> None:
    widths = {"text": Fused(768, False), "audio": Fused(1024), "vision": Fused(768)}
    config = EmiConfig(
        branches={name: {} for name in widths}, vad_head=False, fusion={"name": "pooled"}
    )
    shapes = {n: tuple(w.shape) for n, w in build_fusion(config, widths).state_dict().items()}
    assert shapes["vectors.poolings.audio.score.weight"] == (1, 1024)
    assert shapes["blocks.text.1.weight"] == (384, 768)
    assert shapes["blocks.audio.1.weight"] == (384, 1024)
    assert shapes["head.0.weight"] == (1152,)
    assert shapes["head.2.weight"] == (384, 1152)
    assert shapes["head.5.weight"] == (6, 384)
