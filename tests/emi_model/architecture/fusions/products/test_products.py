"""The fusions of products against each other, and against the same in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fusion
from emi_model.architecture.fusions.products.clip import ClipFusion
from emi_model.architecture.fusions.products.low_rank import LowRankFusion
from emi_model.architecture.fusions.products.tensor import TensorFusion
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
    linear,
    made_clips,
    outputs_of,
    read,
    weights_of,
)

Weights = Mapping[str, Array]

SMALL = {"size": 3, "hidden_size": 5}


def factors_of(weights: Weights, clip: Clip, reading: str) -> list[Array]:
    """Return [1, ...] of each modality."""
    found = []
    for name in WIDTHS:
        narrow = linear(weights, f"narrow.{name}.0", read(weights, clip, name, reading))
        found.append(np.concatenate([[1.0], np.tanh(narrow)]))
    return found


def last(weights: Weights, fused: Array) -> Array:
    if "last.2.weight" not in weights:
        return fused
    return linear(weights, "last.2", np.maximum(fused, 0))


@pytest.mark.parametrize("reading", ["state", "mean", "attention"])
@pytest.mark.parametrize("sizes", [SMALL, {"size": 2, "hidden_size": 0}])
def test_tensor_in_a_batch_and_alone(sizes: dict[str, int], reading: str) -> None:
    fusion = fusion_named("tensor", required=(), reading=reading, **sizes)
    weights = weights_of(fusion)

    def plain(clip: Clip) -> Array:
        text, audio, vision = factors_of(weights, clip, reading)
        outer = text[:, None, None] * audio[None, :, None] * vision[None, None, :]
        return last(weights, linear(weights, "weigh", outer.ravel()))

    check(fusion, made_clips(with_audio=False), plain)


@pytest.mark.parametrize("sizes", [SMALL, {"size": 2, "hidden_size": 0}])
def test_low_rank_in_a_batch_and_alone(sizes: dict[str, int]) -> None:
    fusion = fusion_named("low_rank", required=(), rank=4, **sizes)
    weights = weights_of(fusion)

    def plain(clip: Clip) -> Array:
        fused = np.zeros(len(weights["bias"]))
        for rank, share in enumerate(weights["shares"]):
            term = np.full(len(fused), share)
            for name, factor in zip(WIDTHS, factors_of(weights, clip, "state"), strict=True):
                term = term * (factor @ weights[f"factors.{name}"][rank])
            fused += term
        return last(weights, fused + weights["bias"])

    check(fusion, made_clips(with_audio=False), plain)


@pytest.mark.parametrize("rank", [1, 2, 7])
@pytest.mark.parametrize("names", [("text", "vision"), tuple(WIDTHS)], ids=["two", "three"])
def test_low_rank_is_the_tensor_of_the_sum_of_outer_products(
    names: tuple[str, ...], rank: int
) -> None:
    branches = {name: BRANCHES[name] for name in names}

    def built(kind: str, **arguments: int) -> Fusion:
        fusion = {"name": kind, **SMALL, **arguments}
        optional = {name: {"optional": True} for name in names}
        config = EmiConfig(targets=("Joy",), vad_head=False, branches=optional, fusion=fusion)
        return build_fusion(config, branches).eval().double()

    low_rank, tensor = built("low_rank", rank=rank), built("tensor")
    assert isinstance(low_rank, LowRankFusion)
    assert isinstance(tensor, TensorFusion)
    letters = "ijk"[: len(names)]
    in_order = [low_rank.factors[name] for name in names]
    equation = ",".join(["r", *(f"r{letter}o" for letter in letters)]) + f"->o{letters}"
    weight = torch.einsum(equation, low_rank.shares, *in_order).flatten(1)
    shared = {
        name: value
        for name, value in low_rank.state_dict().items()
        if name.startswith(("vectors.", "narrow.", "last."))
    }
    tensor.load_state_dict({**shared, "weigh.weight": weight, "weigh.bias": low_rank.bias})
    clips = [
        {name: values for name, values in clip.items() if name in names}
        for clip in made_clips(with_audio=False)
    ]
    outputs = {name: output for name, output in outputs_of(clips).items() if name in names}
    for name, output in outputs.items():
        vector = None if output.vector is None else output.vector.double()
        outputs[name] = type(output)(
            output.features.double(), output.num_frames, vector, rows=output.rows
        )
    with torch.inference_mode():
        expected, found = tensor(outputs, len(clips)), low_rank(outputs, len(clips))
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_clip_in_a_batch_and_alone() -> None:
    fusion = fusion_named("clip", required=(), size=4, reading="attention")
    weights = weights_of(fusion)

    def plain(clip: Clip) -> Array:
        unit = []
        for name in WIDTHS:
            joint = weights[f"projections.{name}.weight"] @ read(weights, clip, name, "attention")
            unit.append(joint / np.linalg.norm(joint))
        text, audio, vision = unit
        scale = min(np.exp(weights["logit_scale"]), 100)
        cosines = scale * np.array([text @ audio, text @ vision, audio @ vision])
        return linear(weights, "probe", np.concatenate([*unit, cosines]))

    check(fusion, made_clips(with_audio=False), plain)


def test_the_scale_of_similarities_is_bounded() -> None:
    fusion = fusion_named("clip", required=(), size=4)
    assert isinstance(fusion, ClipFusion)
    assert fusion.logit_scale is not None
    clips = made_clips()
    found = []
    for scale in (np.log(100), 9.0):
        fusion.logit_scale.data.fill_(scale)
        with torch.inference_mode():
            found.append(fusion(outputs_of(clips), len(clips)))
    torch.testing.assert_close(*found, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(("tensor", {**SMALL, "reading": reading}) for reading in ("state", "mean", "attention")),
        ("low_rank", {**SMALL, "rank": 2}),
        ("clip", {"size": 4}),
    ],
)
def test_gradients_reach_every_weight(name: str, arguments: dict[str, Any]) -> None:
    check_gradients(fusion_named(name, required=(), **arguments))


def test_one_modality_is_enough() -> None:
    config = EmiConfig(branches={"text": {}}, vad_head=False)
    outputs = {"text": outputs_of([{"text": np.ones((1, WIDTHS["text"]))}])["text"]}
    for name in ("tensor", "low_rank", "clip"):
        own = EmiConfig(branches=config.branches, vad_head=False, fusion={"name": name})
        fusion = build_fusion(own, {"text": BRANCHES["text"]})
        assert fusion(outputs, 1).shape == (1, 6)
        assert not [n for n in fusion.state_dict() if "stand_ins" in n or "logit_scale" in n]


def test_weights_grow_with_the_product_of_the_sizes_or_with_their_sum() -> None:
    def count(name: str, **arguments: Any) -> int:
        fusion = fusion_named(name, size=9, hidden_size=5, **arguments)
        return sum(
            weight.numel()
            for key, weight in fusion.named_parameters()
            if key.startswith(("weigh.weight", "factors"))
        )

    assert count("tensor") == 10**3 * 5
    assert count("low_rank", rank=4) == 4 * 3 * 10 * 5


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ({"name": "tensor", "size": 128}, r"found 2,146,689 products of 3 modalities, expected"),
        ({"name": "tensor", "size": 0}, r"fusion.size is 0, expected 1 or more"),
        ({"name": "low_rank", "rank": 0}, r"fusion.rank is 0, expected 1 or more"),
        ({"name": "low_rank", "hidden_size": -1}, r"fusion.hidden_size is -1, expected 0 or more"),
        ({"name": "tensor", "rank": 2}, r"fusion has arguments \['rank'\]"),
        ({"name": "clip", "reading": "last"}, r"fusion.reading is 'last', expected one of"),
    ],
)
def test_what_does_not_fit_is_refused(fusion: dict[str, object], expected: str) -> None:
    config = EmiConfig(branches={name: {} for name in WIDTHS}, fusion=fusion)
    with pytest.raises(ConfigError, match=expected):
        build_fusion(config, BRANCHES)
