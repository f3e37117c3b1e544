"""Numbers of raters: recorded, inferred, and what they do in a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emi_model.architecture.model import EmiModel
from emi_model.training.batches import mix
from emi_model.training.clips import PreparedClip
from emi_model.training.fit import fit
from emi_model.training.objective.raters import inferred_raters, raters_of
from emi_model.training.recipes import recipe_named
from emi_model.training.validate import predict_clips
from tests.emi_model.training.noisy_clips import noisy_clips


@given(st.integers(1, 40), st.integers(4, 7))
def test_a_share_tells_its_raters_also_rounded(num_raters: int, digits: int) -> None:
    labels = np.array([0, 1 / num_raters, 1, np.nan], np.float32).round(digits)
    assert inferred_raters(labels) == num_raters


@pytest.mark.parametrize(
    ("labels", "expected"), [([0.0, 1.0], 1), ([0.333, 0.5], 3), ([0.4], 5), ([np.nan], 1)]
)
def test_the_largest_denominator_counts(labels: list[float], expected: int) -> None:
    assert inferred_raters(np.array(labels, np.float32)) == expected


def test_what_is_recorded_goes_before_what_is_inferred() -> None:
    labels = np.array([0.5, 0.25], np.float32)
    clips = [PreparedClip("a", {}, labels, None, 12.0), PreparedClip("b", {}, labels, None)]
    assert raters_of(clips).tolist() == [12.0, 4.0]


@pytest.mark.parametrize(
    ("recorded", "share", "expected"),
    [((2, 2), 0.6, 2.0), ((3, 40), 0.75, 12.25), ((None, None), 0.7, 2.3), ((None, 9), 0.5, 5.5)],
)
def test_two_clips_mixed_have_their_shares_of_both_numbers(
    recorded: tuple[float | None, float | None], share: float, expected: float
) -> None:
    """Labels without a recorded number are halves and thirds: 2 and 3 raters."""
    labels = ([0.5, 1.0], [1 / 3, 0.0])
    one, other = (
        PreparedClip(name, {"audio": np.ones(4, np.float32)}, np.array(shares, np.float32), None, n)
        for name, shares, n in zip("ab", labels, recorded, strict=True)
    )
    assert raters_of([mix(one, other, share)]).tolist() == pytest.approx([expected])


@pytest.mark.parametrize("variants", ["binomial", "rater_weights+mse_pearson"])
def test_raters_count_in_a_training_and_scores_stay_scores(
    tiny_model: Callable[..., EmiModel], variants: str
) -> None:
    recipe = recipe_named(f"debug+{variants}")
    clips = noisy_clips(6)

    def trained(num_raters: list[float]) -> tuple[EmiModel, float]:
        fields: dict[str, Any] = {"output": recipe.model.output, "targets": ("Noise", "Tone")}
        model = tiny_model(**fields)
        counted = [replace(c, num_raters=n) for c, n in zip(clips, num_raters, strict=True)]
        settings = replace(recipe.train, keep="last", epochs=2)
        return model, fit(model, counted, (), settings, device="cpu").history[-1].train_loss

    model, loss = trained([3.0] * 6)
    assert trained([6.0] * 6)[1] == pytest.approx(loss, abs=1e-6)
    assert trained([1.0, 9.0, 1.0, 9.0, 1.0, 9.0])[1] != pytest.approx(loss, abs=1e-6)
    scores = predict_clips(model, clips)
    assert scores.min() >= 0
    assert scores.max() <= 1
    if variants == "binomial":  # by the model itself, not by clipping
        with torch.inference_mode():
            assert model.fusion is not None
            bound = model.fusion.activated(torch.tensor([-99.0, 0.0, 99.0]))
        assert bound.tolist() == [0.0, 0.5, 1.0]
