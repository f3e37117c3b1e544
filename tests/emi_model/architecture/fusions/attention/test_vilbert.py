"""Co-attention against the same in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import pytest

from emi_model.architecture.config import EmiConfig
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
    gelu,
    layer_norm,
    linear,
    made_clips,
    outputs_of,
    softmax,
    weights_of,
)

SMALL = {"size": 8, "num_heads": 2, "num_layers": 2}

Weights = Mapping[str, Array]


def stream(weights: Weights, name: str, clip: Clip) -> Array:
    """Return the tokens (1 + F, D) of one modality."""
    at = f"streams.{name}"
    frames = clip[name] if name in clip else weights[f"{at}.stand_in"][None]
    tokens = linear(weights, f"{at}.project", np.vstack([frames.mean(axis=0), frames]))
    tokens[0] += weights[f"{at}.first"]
    return layer_norm(weights, f"{at}.norm", tokens)


def asked(weights: Weights, at: str, tokens: Array, others: Array) -> Array:
    """Return tokens (N, D) after they have asked others (M, D)."""
    size = tokens.shape[1]
    parts = [
        values @ weight.T + bias
        for values, weight, bias in zip(
            (tokens, others, others),
            np.split(weights[f"{at}.attention.in_proj_weight"], 3),
            np.split(weights[f"{at}.attention.in_proj_bias"], 3),
            strict=True,
        )
    ]
    heads = []
    for head in np.split(np.arange(size), SMALL["num_heads"]):
        query, key, value = (part[:, head] for part in parts)
        heads.append(softmax(query @ key.T / np.sqrt(len(head))) @ value)
    found = linear(weights, f"{at}.attention.out_proj", np.hstack(heads))
    tokens = layer_norm(weights, f"{at}.norm", tokens + found)
    hidden = gelu(linear(weights, f"{at}.feed_forward.0", tokens))
    return layer_norm(
        weights, f"{at}.last_norm", tokens + linear(weights, f"{at}.feed_forward.2", hidden)
    )


def test_any_subset_alone_and_in_a_batch() -> None:
    fusion = fusion_named("vilbert", required=(), **SMALL)
    weights = weights_of(fusion)

    def plain(clip: Clip) -> Array:
        tokens = {name: stream(weights, name, clip) for name in WIDTHS}
        for layer in range(SMALL["num_layers"]):
            found = {}
            for name, own in tokens.items():
                others = np.vstack([tokens[other] for other in WIDTHS if other != name])
                between = asked(weights, f"between.{name}.{layer}", own, others)
                found[name] = asked(weights, f"within.{name}.{layer}", between, between)
            tokens = found
        pooled = [
            np.maximum(linear(weights, f"pool.{name}.0", own[0]), 0) for name, own in tokens.items()
        ]
        return linear(weights, "head.1", prod(pooled[1:], start=pooled[0]))

    check(fusion, made_clips(with_audio=False), plain)


def test_gradients_reach_every_weight() -> None:
    check_gradients(fusion_named("vilbert", required=(), **SMALL))


def test_one_modality_asks_itself_alone() -> None:
    config = EmiConfig(branches={"text": {}}, vad_head=False, fusion={"name": "vilbert", **SMALL})
    fusion = build_fusion(config, {"text": BRANCHES["text"]})
    outputs = {"text": outputs_of([{"text": np.ones((1, WIDTHS["text"]))}])["text"]}
    assert fusion(outputs, 1).shape == (1, 6)
    assert not [name for name in fusion.state_dict() if name.startswith("between")]


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ({"size": 9}, "fusion.size is 9, expected a multiple of num_heads, 8"),
        ({"num_heads": 0}, "fusion.num_heads is 0, expected 1 or more"),
        ({"num_layers": 0}, "fusion.num_layers is 0, expected 1 or more"),
    ],
)
def test_what_does_not_fit_is_refused(fusion: dict[str, int], expected: str) -> None:
    config = EmiConfig(branches={name: {} for name in WIDTHS}, fusion={"name": "vilbert", **fusion})
    with pytest.raises(ConfigError, match=expected):
        build_fusion(config, BRANCHES)
