"""Lower precisions stay near float32, and `auto` is one of them only where it pays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from emi_model.architecture.config import Precision
from emi_model.architecture.model import EmiModel
from emi_model.engine.precision import multiplies_bf16, numerics
from emi_model.errors import ConfigError
from emi_model.predict import Predictor


@pytest.mark.parametrize(("precision", "most"), [("bf16", 0.01), ("int8", 0.03)])
def test_lower_precision_scores_like_float32(
    tiny_model: Callable[..., EmiModel],
    noises: Callable[..., list[np.ndarray]],
    precision: Precision,
    most: float,
) -> None:
    model, clips = tiny_model(), noises([12_000, 9_000, 33_333, 12_000])
    exact = Predictor(model, device="cpu", precision="fp32")(clips)
    lower = Predictor(model, device="cpu", precision=precision)
    assert lower.numerics == precision
    for one, other in zip(lower(clips), exact, strict=True):
        assert one.num_frames == other.num_frames
        assert one.frame_vad.shape == other.frame_vad.shape
        assert np.allclose(one.emi, other.emi, atol=most)
        assert np.allclose(one.vad_mean, other.vad_mean, atol=most)
        assert not np.array_equal(one.global_vector, other.global_vector)
    own, padded = lower.padding
    assert own == padded == sum(map(len, clips))


def test_auto_is_what_pays(tiny_model: Callable[..., EmiModel]) -> None:
    assert Predictor(tiny_model(), device="cpu").numerics == "fp32"
    assert numerics("auto", torch.device("cpu"), 1024) == ("bf16" if multiplies_bf16() else "fp32")
    with pytest.raises(ConfigError, match="int8 is for CPUs"):
        numerics("int8", torch.device("cuda"), 1024)
