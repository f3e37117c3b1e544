"""Tiny, fast models with weights for which every output depends on every frame."""

from __future__ import annotations

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # tests compare with the CPU; `make gpu` checks a GPU

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel

settings.register_profile("emi_model", deadline=None, max_examples=30)
settings.load_profile("emi_model")

TINY_BACKBONE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": True,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "vocab_size": None,
}
"""Narrow layers, but the standard conv stack: 400 samples are one frame, a hop is 320."""


@pytest.fixture(scope="session")
def tiny_backbone() -> Callable[..., dict[str, Any]]:
    """Return a function that returns a tiny backbone's arguments, some of them replaced."""

    def arguments(**replaced: Any) -> dict[str, Any]:
        return {**TINY_BACKBONE, **replaced}

    return arguments


@pytest.fixture(scope="session")
def enliven() -> Callable[..., torch.nn.Module]:
    """Return a function that sets a module's weights so that every input changes the output.

    Fresh weights of wav2vec2 are so small that every clip scores nearly the same, and a test of
    exactness would pass even with wrong padding.
    """

    def drawn(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in module.named_parameters():
                noise = torch.randn(weight.shape, generator=generator)
                if name.endswith("original0"):  # the weight norm's length
                    weight.copy_(1 + 0.1 * noise)
                elif weight.ndim > 1:
                    weight.copy_(noise / weight[0].numel() ** 0.5)
                else:
                    weight.copy_(0.1 * noise + ("norm" in name and name.endswith("weight")))
        return module.eval()

    return drawn


@pytest.fixture(scope="session")
def tiny_model(
    tiny_backbone: Callable[..., dict[str, Any]], enliven: Callable[..., EmiModel]
) -> Callable[..., EmiModel]:
    """Return a function that builds a tiny model; ``backbone`` replaces arguments of that."""

    def build(seed: int = 0, backbone: dict[str, Any] | None = None, **fields: Any) -> EmiModel:
        config = EmiConfig(backbone=tiny_backbone(**(backbone or {})), **fields)
        return enliven(EmiModel(config), seed)

    return build


@pytest.fixture(scope="session")
def noises() -> Callable[..., list[NDArray[np.float32]]]:
    """Return a function that draws a float32 waveform for each length, at random levels."""

    def draw(lengths: Sequence[int], seed: int = 0) -> list[NDArray[np.float32]]:
        generator = np.random.default_rng(seed)
        return [
            (
                generator.uniform(0.01, 0.5) * generator.standard_normal(length)
                + generator.uniform(-0.1, 0.1)
            ).astype(np.float32)
            for length in lengths
        ]

    return draw


@pytest.fixture(scope="session")
def scores_of() -> Callable[..., dict[str, NDArray[np.float32]]]:
    """Return a function that returns a clip's values by name, from `Scores` or an output's row."""

    def values(result: Any, row: int | None = None) -> dict[str, NDArray[np.float32]]:
        names = ("emi", "vad_mean", "vad_of_mean", "frame_vad", "global_vector")
        found = {name: getattr(result, name) for name in names}
        if row is not None:
            found = {name: value[row].numpy() for name, value in found.items() if value is not None}
            if "frame_vad" in found:
                found["frame_vad"] = found["frame_vad"][: int(result.num_frames[row])]
        return {name: value for name, value in found.items() if value is not None}

    return values


@pytest.fixture(scope="session")
def largest_difference() -> Callable[..., float]:
    """Return a function that compares all values of two clips, and their shapes."""

    def largest(
        found: dict[str, NDArray[np.float32]], expected: dict[str, NDArray[np.float32]]
    ) -> float:
        shapes = [{name: value.shape for name, value in each.items()} for each in (found, expected)]
        assert shapes[0] == shapes[1]
        return max(float(np.abs(found[name] - expected[name]).max()) for name in found)

    return largest
