"""The graph of modalities against the same in plain numpy, a clip, a node, an edge at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.graphs.nodes import stretch_means
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
    lstm_states,
    made_clips,
    outputs_of,
    sigmoid,
    softmax,
    weights_of,
)

SIZE, POSITIONS, LAYERS = 6, 3, 2
ARGUMENTS = {"size": SIZE, "positions": POSITIONS, "lstm_layers": 1, "num_layers": LAYERS}
Weights = dict[str, Array]


def layer_norm(weights: Weights, name: str, values: Array) -> Array:
    centred = values - values.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def means_of(states: Array) -> Array:
    count = len(states)
    bounds = [
        (place * count // POSITIONS, -(-(place + 1) * count // POSITIONS))
        for place in range(POSITIONS)
    ]
    return np.stack([states[first:behind].mean(axis=0) for first, behind in bounds])


def node_of(weights: Weights, name: str, clip: Clip) -> Array:
    if name not in clip:
        return np.tile(weights[f"nodes.{name}.missing"], (POSITIONS, 1))
    if name == "text":
        return np.tile(linear(weights, "nodes.text.layer", clip[name][0]), (POSITIONS, 1))
    return means_of(lstm_states(weights, f"nodes.{name}.layer", clip[name]))


def asked(weights: Weights, name: str, asking: Array, other: Array) -> Array:
    query, key = linear(weights, f"{name}.query", asking), linear(weights, f"{name}.key", other)
    return softmax(query @ key.T / (SIZE / 2) ** 0.5) @ linear(weights, f"{name}.value", other)


def edge_of(weights: Weights, own: Array, other: Array) -> Array:
    """Return what passes to a node, whose concern is ``own``, from another."""
    found = linear(weights, "edges.layer", asked(weights, "edges.relation", other, own))
    return layer_norm(weights, "edges.norm", found).mean(axis=0)


def plain_scores(weights: Weights, clip: Clip) -> Array:
    nodes = [node_of(weights, name, clip) for name in WIDTHS]
    places = range(len(nodes))
    whole = sum(nodes) / len(nodes)
    own = [asked(weights, "edges.concern", node, whole) for node in nodes]
    vectors = [node.mean(axis=0) for node in nodes]
    edges = {(i, j): edge_of(weights, own[i], own[j]) for i in places for j in places}
    strength = {
        (i, j): sigmoid(
            weights["edges.pairs"][i, j]
            + linear(weights, "edges.target", vectors[i])
            @ linear(weights, "edges.source", vectors[j])
            / (SIZE / 2) ** 0.5
        )
        for i, j in edges
    }
    for layer in range(LAYERS):
        name = f"network.{layer}"
        a, b, e, u, v = (
            weights[f"{name}.{part}.weight"]
            for part in ("to_edge", "from_edge", "edge", "own", "other")
        )
        for (i, j), edge in edges.items():
            new = layer_norm(
                weights, f"{name}.edge_norm", a @ vectors[i] + b @ vectors[j] + e @ edge
            )
            edges[i, j] = edge + np.maximum(new, 0)
        after = []
        for i in places:
            powers = [np.exp(sigmoid(edges[i, j])) for j in places]
            heard = sum(
                strength[i, j] * powers[j] / sum(powers) * (v @ vectors[j]) for j in places
            ) / len(nodes)
            new = layer_norm(weights, f"{name}.node_norm", u @ vectors[i] + heard)
            after.append(np.maximum(vectors[i] + new, 0))
        vectors = after
    return linear(weights, "last", np.concatenate(vectors))


def test_any_subset_alone_and_in_a_batch() -> None:
    fusion = fusion_named("graph", required=(), **ARGUMENTS)
    weights = weights_of(fusion)
    check(fusion, made_clips(with_audio=False), lambda clip: plain_scores(weights, clip))


def test_in_training_too_a_clip_does_not_depend_on_the_batch() -> None:
    fusion = fusion_named("graph", required=(), dropout=0.0, **ARGUMENTS).train()
    clips = made_clips(with_audio=False)
    together = fusion(outputs_of(clips), len(clips))
    alone = torch.cat([fusion(outputs_of([clip]), 1) for clip in clips])
    assert torch.allclose(together, alone, rtol=0, atol=1e-5)
    together.square().sum().backward()
    idle = [name for name, weight in fusion.named_parameters() if not weight.grad.any()]
    assert idle == []


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_positions_are_means_over_stretches_of_a_clips_own_states(count: int) -> None:
    states = np.random.default_rng(count).standard_normal((2, 9, 4))
    found = stretch_means(torch.tensor(states), torch.tensor([count, 9]), POSITIONS)
    np.testing.assert_allclose(found[0], means_of(states[0, :count]), atol=1e-12)
    np.testing.assert_allclose(found[1], states[1].reshape(3, 3, 4).mean(axis=1), atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"size": 7}, "fusion.size is 7, expected an even number"),
        ({"positions": 0}, "fusion.positions is 0, expected 1 or more"),
        ({"num_layers": None}, "fusion.num_layers is None, expected 1 or more"),
        ({"dropout": 1.0}, r"fusion.dropout is 1.0, expected \[0, 1\)"),
        ({"edges": 2}, r"has arguments \['edges'\]"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, Any], expected: str) -> None:
    fusion = {"name": "graph", **arguments}
    config = EmiConfig(branches={name: {} for name in WIDTHS}, fusion=fusion)
    with pytest.raises(ConfigError, match=expected):
        build_fusion(config, BRANCHES)
