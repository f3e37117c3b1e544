"""Fusions in plain numpy, a clip at a time, and made outputs of branches to compare them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from math import erf
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, Fusion
from emi_model.architecture.fusions.registry import build_fusion

Array = NDArray[np.float64]
Clip = Mapping[str, Array]
"""Features (F, D) of a clip by modality; of text, the vector (1, D)."""

WIDTHS = {"text": 6, "audio": 5, "vision": 4}
BRANCHES = {name: Fused(width, name != "text") for name, width in WIDTHS.items()}
TARGETS = ("Joy", "Awe", "Calm")


def subsets(modalities: Iterable[str] = WIDTHS) -> list[tuple[str, ...]]:
    """Return every subset but the empty one."""
    names = tuple(modalities)
    return [some for count in range(1, len(names) + 1) for some in combinations(names, count)]


def made_clips(seed: int = 0, with_audio: bool = True) -> list[Clip]:
    """Return two clips of each subset of the modalities, in a random order."""
    rng = np.random.default_rng(seed)
    clips = [
        {
            name: rng.standard_normal((1 if name == "text" else int(rng.integers(1, 7)), width))
            for name, width in WIDTHS.items()
            if name in some
        }
        for some in subsets() * 2
        if "audio" in some or not with_audio
    ]
    return [clips[place] for place in rng.permutation(len(clips))]


def outputs_of(clips: Sequence[Clip], behind: float = 1e3) -> dict[str, BranchOutput]:
    """Return the clips as branches give them, with a constant behind each clip's last frame."""
    outputs = {}
    for name, width in WIDTHS.items():
        rows = [place for place, clip in enumerate(clips) if name in clip]
        if not rows:
            continue
        frames = [torch.tensor(clips[row][name], dtype=torch.float32) for row in rows]
        lengths = torch.tensor([len(one) for one in frames])
        features = torch.full((len(rows), int(lengths.max()), width), behind)
        for place, one in enumerate(frames):
            features[place, : len(one)] = one
        outputs[name] = BranchOutput(
            features,
            lengths,
            vector=features[:, 0] if name == "text" else None,
            rows=None if len(rows) == len(clips) else torch.tensor(rows),
        )
    return outputs


def fusion_named(name: str, required: Sequence[str] = ("audio",), **arguments: Any) -> Fusion:
    """Return a fusion of three branches whose weights and learnt tokens are noise."""
    branches = {m: {} if m in required else {"optional": True} for m in WIDTHS}
    config = EmiConfig(
        backbone={}, targets=TARGETS, branches=branches, fusion={"name": name, **arguments}
    )
    fusion = build_fusion(config, BRANCHES).eval()
    generator = torch.Generator().manual_seed(1)
    for weight in fusion.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)
    return fusion


def check(fusion: Fusion, clips: Sequence[Clip], plain: Callable[[Clip], Array]) -> None:
    """Check a batch of clips, and each of them alone, against the plain implementation."""
    with torch.inference_mode():
        together = fusion(outputs_of(clips), len(clips)).numpy()
        alone = np.concatenate([fusion(outputs_of([clip]), 1).numpy() for clip in clips])
    expected = np.stack([plain(clip) for clip in clips])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(together, expected, rtol=0, atol=1e-5)


def check_gradients(fusion: Fusion) -> None:
    """Check that the clips of every subset together move every weight."""
    clips = made_clips(with_audio=False)
    fusion(outputs_of(clips), len(clips)).square().sum().backward()
    still = [
        name
        for name, weight in fusion.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ]
    assert still == []


def weights_of(fusion: Fusion) -> dict[str, Array]:
    """Return the fusion's weights by name, in double precision."""
    return {name: weight.double().numpy() for name, weight in fusion.state_dict().items()}


def linear(weights: Mapping[str, Array], name: str, values: Array) -> Array:
    """Return what a linear layer makes of values (..., D)."""
    return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def layer_norm(weights: Mapping[str, Array], name: str, values: Array) -> Array:
    """Return what a LayerNorm makes of values (..., D)."""
    centred = values - values.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(values: Array) -> Array:
    """Return x times the share of a normal distribution below x."""
    return np.asarray(values * 0.5 * (1 + np.vectorize(erf)(values / 2**0.5)))


def read(weights: Mapping[str, Array], clip: Clip, name: str, reading: str) -> Array:
    """Return the vector (D,) that `ClipVectors`, named ``vectors``, reads of a modality."""
    if name not in clip:
        return weights[f"vectors.stand_ins.{name}"]
    frames = clip[name]
    if name == "text" or reading == "mean":
        return np.asarray(frames.mean(axis=0))
    if reading == "state":
        return lstm_state(weights, f"vectors.lstms.{name}", frames)
    shares = softmax(frames @ weights[f"vectors.poolings.{name}.score.weight"][0])
    return np.asarray(shares @ frames)


def sigmoid(values: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-values))


def softmax(values: Array) -> Array:
    """Return the softmax over the last axis."""
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def lstm_state(weights: Mapping[str, Array], name: str, frames: Array) -> Array:
    """Return the top layer's state (H,) after the last of frames (F, D)."""
    state: Array = lstm_states(weights, name, frames)[-1]
    return state


def lstm_states(weights: Mapping[str, Array], name: str, frames: Array) -> Array:
    """Return the top layer's states (F, H) at frames (F, D), by the equations of the LSTM."""
    layer = 0
    while f"{name}.weight_ih_l{layer}" in weights:
        size = weights[f"{name}.weight_hh_l{layer}"].shape[1]
        state, cell, states = np.zeros(size), np.zeros(size), []
        for frame in frames:
            gates = weights[f"{name}.weight_ih_l{layer}"] @ frame
            gates = gates + weights[f"{name}.weight_hh_l{layer}"] @ state
            gates = (
                gates + weights[f"{name}.bias_ih_l{layer}"] + weights[f"{name}.bias_hh_l{layer}"]
            )
            into, forget, new, out = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(into) * np.tanh(new)
            state = sigmoid(out) * np.tanh(cell)
            states.append(state)
        frames, layer = np.stack(states), layer + 1
    return frames
