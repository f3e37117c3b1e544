"""A Keras network against its layers, written anew in numpy with the channels last."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from emi_model.architecture.encoders.keras_network import KerasNetwork, plain_layers
from emi_model.arrays import Doubles
from emi_model.errors import ConfigError
from tests.emi_model.architecture.tiny_encoders import VISION_BRANCHES


def same(values: Doubles, kernel: int, stride: int, fill: float) -> Doubles:
    """Return the windows (h, w, C, kernel, kernel) of a map (H, W, C), padded as Keras does."""
    pads = []
    for length in values.shape[:2]:
        whole = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        pads.append((whole // 2, whole - whole // 2))
    padded = np.pad(values, [*pads, (0, 0)], constant_values=fill)
    return sliding_window_view(padded, (kernel, kernel), (0, 1))[::stride, ::stride]


def run(network: KerasNetwork, picture: Doubles) -> Doubles:
    """Return the state of a picture (H, W, C)."""
    weights = {
        name: value.numpy().astype(np.float64) for name, value in network.state_dict().items()
    }

    def of(layer: str, name: str) -> Doubles:
        return weights[f"modules_by_name.{layer}.{name}"]

    def convolved(layer: str, values: Doubles, stride: int) -> Doubles:
        windows = same(values, 3, stride, 0)
        return np.tensordot(windows, of(layer, "pointwise.weight"), ([2, 3, 4], [1, 2, 3]))

    c1 = convolved("c1", picture, 1)
    scale = of("n1", "weight") / np.sqrt(of("n1", "variance") + 1e-3)
    a1 = np.maximum((c1 - of("n1", "mean")) * scale + of("n1", "bias"), 0)
    deep = np.einsum("hwcij,cij->hwc", same(a1, 3, 1, 0), of("c2", "depthwise.weight")[:, 0])
    c2 = deep @ of("c2", "pointwise.weight")[:, :, 0, 0].T
    s1 = same(c2, 3, 2, -np.inf).max((3, 4)) + convolved("c3", a1, 2)
    c4 = convolved("c4", s1, 1) + of("c4", "pointwise.bias")
    return np.concatenate([s1.mean((0, 1)), c4.mean((0, 1))])


@pytest.mark.parametrize("side", [16, 13])
def test_layers_are_keras_own(enliven: Any, side: int) -> None:
    network = enliven(KerasNetwork(VISION_BRANCHES["keras"]["encoder"], 1))
    network.modules_by_name["n1"].mean += 0.3
    network.modules_by_name["n1"].variance *= 2.0
    picture = np.random.default_rng(0).normal(size=(side, side, 1))
    with torch.inference_mode():
        found = network(torch.tensor(picture.transpose(2, 0, 1)[None], dtype=torch.float32))
    assert found.shape == (1, 1, network.hidden_size) == (1, 1, 4 + 7)
    assert found[0, 0].numpy() == pytest.approx(run(network, picture), abs=1e-5)


def test_what_is_not_written_here_is_refused() -> None:
    dense = {"class": "Dense", "name": "d", "inputs": []}
    convolution = VISION_BRANCHES["keras"]["encoder"]["layers"][1] | {"inputs": ["d"]}
    with pytest.raises(ConfigError, match="layer d: Dense is not written here"):
        KerasNetwork({"layers": [dense, convolution]}, 1)
    with pytest.raises(ConfigError, match="no convolution"):
        KerasNetwork({"layers": [dense]}, 1)
    with pytest.raises(ConfigError, match="no functional Keras model"):
        plain_layers({"config": []})
