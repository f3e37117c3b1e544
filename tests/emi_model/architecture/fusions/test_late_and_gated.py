"""Fusions of predictions against the same in plain numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from emi_model.architecture.fusions.predictions import PredictionFusion
from tests.emi_model.architecture.fusions.plain import (
    TARGETS,
    WIDTHS,
    Array,
    Clip,
    check,
    fusion_named,
    linear,
    lstm_state,
    made_clips,
    outputs_of,
    softmax,
    weights_of,
)

Weights = Mapping[str, Array]


def predicted(weights: Weights, clip: Clip) -> Array:
    """Return (modalities, targets), NaN where the clip lacks one."""
    found = np.full((len(WIDTHS), len(TARGETS)), np.nan)
    for place, name in enumerate(WIDTHS):
        if name not in clip:
            continue
        frames = clip[name]
        lstm = f"heads.{name}." + ("lstm" if name == "audio" else f"lstms.{name}")
        parts = [frames.mean(axis=0)]
        parts += [] if name == "text" else [lstm_state(weights, lstm, frames)]
        hidden = np.tanh(linear(weights, f"heads.{name}.layers.0", np.concatenate(parts)))
        found[place] = linear(weights, f"heads.{name}.layers.2", hidden)
    return found


def weighed(values: Array, logits: Array) -> Array:
    shares = softmax(np.where(np.isnan(values), -np.inf, logits).T).T
    return np.asarray((shares * np.nan_to_num(values)).sum(axis=0))


def late(weights: Weights, clip: Clip) -> Array:
    return weighed(predicted(weights, clip), weights["shared_logits"])


def gated(weights: Weights, clip: Clip) -> Array:
    values = predicted(weights, clip)
    amounts = np.array([np.log(1 + len(clip[name])) if name in clip else 0 for name in WIDTHS])
    seen = np.concatenate([np.nan_to_num(values).ravel(), amounts, amounts > 0])
    logits = linear(weights, "gate.2", np.tanh(linear(weights, "gate.0", seen)))
    return weighed(values, logits.reshape(values.shape))


@pytest.mark.parametrize("plain", [late, gated], ids=["late", "gated"])
def test_any_subset_alone_and_in_a_batch(plain: Callable[[Weights, Clip], Array]) -> None:
    fusion = fusion_named(plain.__name__)
    weights = weights_of(fusion)
    check(fusion, made_clips(with_audio=False), lambda clip: plain(weights, clip))


@pytest.mark.parametrize("name", ["late", "gated"])
def test_weights_sum_to_one_over_what_a_clip_has(name: str) -> None:
    fusion = fusion_named(name)
    assert isinstance(fusion, PredictionFusion)
    clips = made_clips(with_audio=False)
    with torch.inference_mode():
        predictions = fusion.predictions(outputs_of(clips), len(clips))
        weights = fusion.weights(predictions).numpy()
    has = np.array([[modality in clip for modality in WIDTHS] for clip in clips])
    assert np.array_equal(weights > 0, np.broadcast_to(has[..., None], weights.shape))
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=0, atol=1e-6)
    assert all(weight.requires_grad for weight in fusion.weighing())
    assert len(fusion.weighing()) == {"late": 1, "gated": 4}[name]
