"""Attributions of models of other fusions, and of series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.model import EmiModel
from emi_model.arrays import Array
from emi_model.attribution.attribute import Attributor
from emi_model.attribution.contributions import Kind
from emi_model.predict import Predictor, Scores

TOLERANCE = 1e-5
SMALL: dict[str, dict[str, Any]] = {
    "tensor": {"size": 3, "hidden_size": 32},
    "low_rank": {"size": 3, "hidden_size": 32},
    "clip": {"size": 4},
    "pooled": {"size": 4},
    "vilbert": {},
    "jmt": {"size": 4, "num_heads": 2},
    "graph": {"size": 4},
}
FACES: dict[str, Any] = {"kind": "series", "num_values": 3, "rate": 2.0, "optional": True}
WORDS: dict[str, Any] = {"kind": "series", "num_values": 4, "optional": True}


@pytest.fixture
def predictor_of(tiny_model: Callable[..., EmiModel]) -> Callable[..., Predictor]:
    """Return a function that returns the predictor of a tiny model."""

    def make(**fields: Any) -> Predictor:
        model = tiny_model(targets=("Joy", "Awe"), **fields)
        return Predictor(model, device="cpu", precision="fp32")

    return make


def score(predictor: Predictor, clip: dict[str, Array]) -> Array:
    (found,) = predictor([clip])
    assert isinstance(found, Scores)
    assert found.emi is not None
    return found.emi


@pytest.mark.parametrize("fusion", SMALL)
def test_every_fusion_is_attributed(fusion: str, predictor_of: Callable[..., Predictor]) -> None:
    branches = {"faces": FACES, "words": WORDS}
    predictor = predictor_of(branches=branches, fusion={"name": fusion, **SMALL[fusion]})
    rng = np.random.default_rng(0)
    clip = {"faces": rng.standard_normal((5, 3)), "words": rng.standard_normal((1, 4))}
    found = Attributor(predictor)(clip)
    assert found.gap < 1e-9
    np.testing.assert_allclose(found.score, score(predictor, clip), rtol=0, atol=TOLERANCE)
    alone = {name: score(predictor, {name: clip[name]}) for name in clip}
    both = found.score - found.base
    for name, value in zip(clip, found.of(Kind.MODALITY), strict=True):
        (other,) = (alone[one] for one in clip if one != name)
        expected = (alone[name] - found.base + found.score - other) / 2
        np.testing.assert_allclose(value.value, expected, rtol=0, atol=TOLERANCE)
    assert np.abs(both).max() > 1e-4
    assert [one.end for one in found.of(Kind.SECOND)] == [16_000, 32_000, 40_000]


def test_the_training_mean_stands_for_a_series(predictor_of: Callable[..., Predictor]) -> None:
    pulse = {"kind": "series", "num_values": 2, "rate": 2.0}
    predictor = predictor_of(branches={"pulse": pulse})
    mean = predictor.model.get_buffer("branches.pulse.mean")
    mean += torch.tensor([3.0, -2.0])
    clip = np.random.default_rng(0).integers(-5, 5, (4, 2))
    found = Attributor(predictor)({"pulse": clip})
    usual = np.tile([3, -2], (4, 1))
    base = score(predictor, {"pulse": usual})
    np.testing.assert_allclose(found.base, base, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.silent_base, base, rtol=0, atol=TOLERANCE)
    assert found.of(Kind.MODALITY)[0].reference == "training mean"
    first = score(predictor, {"pulse": np.concatenate([usual[:2], clip[2:]])})
    value = found.of(Kind.SECOND)[0].value
    np.testing.assert_allclose(value, found.score - first, rtol=0, atol=TOLERANCE)
    assert np.abs(value).max() > 1e-4
