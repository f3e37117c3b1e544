"""The fusion of 2025 against the same in plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused
from emi_model.architecture.fusions.registry import build_fusion
from emi_model.errors import ConfigError
from tests.emi_model.architecture.fusions.plain import (
    BRANCHES,
    WIDTHS,
    Array,
    Clip,
    check,
    fusion_named,
    linear,
    lstm_state,
    made_clips,
    weights_of,
)


@pytest.mark.parametrize(("sizes", "hidden_size"), [({}, 9), ({"vision": 7}, 9), ({}, 0)])
def test_any_subset_alone_and_in_a_batch(sizes: dict[str, int], hidden_size: int) -> None:
    fusion = fusion_named("concat", lstm_sizes=sizes, hidden_size=hidden_size)
    weights = weights_of(fusion)

    def plain(clip: Clip) -> Array:
        parts = [lstm_state(weights, "lstms.audio", clip["audio"])]
        parts += [
            lstm_state(weights, "lstms.vision", clip["vision"])
            if "vision" in clip
            else weights["stand_ins.vision"]
        ]
        parts += [clip["text"][0] if "text" in clip else weights["stand_ins.text"]]
        first = linear(weights, "layers.0", np.concatenate(parts))
        return linear(weights, "layers.2", np.tanh(first)) if hidden_size else first

    check(fusion, made_clips(), plain)


def test_the_shapes_are_those_of_the_paper() -> None:
    widths = {"text": Fused(768, False), "vision": Fused(1280), "audio": Fused(1027)}
    config = EmiConfig(
        branches={name: {} for name in widths},
        fusion={"name": "concat", "lstm_sizes": {"vision": 768}},
    )
    shapes = {n: tuple(w.shape) for n, w in build_fusion(config, widths).state_dict().items()}
    assert shapes["layers.0.weight"] == (1027, 2563)
    assert shapes["layers.2.weight"] == (6, 1027)
    assert shapes["lstms.audio.weight_ih_l1"] == (4108, 1027)
    assert shapes["lstms.vision.weight_ih_l0"] == (3072, 1280)
    assert shapes["lstms.vision.weight_hh_l1"] == (3072, 768)
    assert len(shapes) == 20


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ({"name": "concat", "width": 3}, "has arguments \\['width'\\]"),
        ({"name": "concat", "hidden_size": "3"}, "fusion.hidden_size is '3'"),
        ({"name": "concat", "lstm_sizes": {"text": 3}}, "names \\['text'\\]"),
        ({"name": "sum"}, "found no fusion for 'sum'"),
        ({"size": 3}, "expected its name"),
        ({"name": "paper", "size": 3}, "has arguments \\['size'\\]"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(fusion: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        build_fusion(EmiConfig(branches={name: {} for name in WIDTHS}, fusion=fusion), BRANCHES)


def test_a_config_without_a_fusion_is_as_it_always_was() -> None:
    assert EmiConfig().to_dict().keys().isdisjoint(("branches", "fusion", "output"))
    named = EmiConfig(fusion={"name": "concat"}, output="sigmoid")
    assert EmiConfig.from_dict(named.to_dict()) == named
    with pytest.raises(ConfigError, match="output is 'tanh', expected one of"):
        EmiConfig(output="tanh")
