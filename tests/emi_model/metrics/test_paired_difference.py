from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emi_model.metrics.agreement import mean_defined, pearson
from emi_model.metrics.bootstrap import paired_difference
from emi_model.metrics.resamples import resampled_counts

Floats = NDArray[np.float64]

GROUPS = [f"speaker {clip // 3}" for clip in range(30)]


@pytest.fixture
def labels() -> Floats:
    return np.random.default_rng(0).random((30, 2))


def heard(labels: Floats, noise: float, seed: int) -> Floats:
    return labels + noise * np.random.default_rng(seed).standard_normal(labels.shape)


def mean_of(predictions: Floats, labels: Floats) -> float:
    found = mean_defined(pearson(p, y) for p, y in zip(predictions.T, labels.T, strict=True))
    assert found is not None
    return found


def test_the_difference_and_its_one_sided_bounds(labels: Floats) -> None:
    one, other = heard(labels, 0.2, 1), heard(labels, 0.3, 2)
    found = paired_difference(
        one, other, labels, groups=GROUPS, num_resamples=100, level=0.9, seed=4
    )
    (counts,) = resampled_counts(GROUPS, 30, 100, 4)
    expected = []
    for row in counts:
        a, b, y = (np.repeat(values, row, axis=0) for values in (one, other, labels))
        expected.append(mean_of(a, y) - mean_of(b, y))
    assert found.difference == pytest.approx(mean_of(one, labels) - mean_of(other, labels))
    assert [found.low, found.high] == pytest.approx(np.percentile(expected, [10, 90]))
    assert found.share_better == np.mean(np.array(expected) > 0)
    assert (found.num_clips, found.num_groups, found.level) == (30, 10, 0.9)


def test_a_clearly_better_model_is_told_from_chance(labels: Floats) -> None:
    better = paired_difference(heard(labels, 0.05, 1), heard(labels, 0.5, 2), labels)
    assert better.low is not None
    assert better.low > 0
    assert better.share_better == 1.0


@given(st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_equal_models_tie_exactly_on_whatever_scale(scale: float, shift: float) -> None:
    labels = np.random.default_rng(0).random((30, 2))
    one = heard(labels, 0.3, 1)
    found = paired_difference(one, scale * one + shift, labels, num_resamples=50)
    assert (found.difference, found.low, found.high, found.share_better) == (0, 0, 0, 0)


def test_the_other_way_round_is_the_same_with_the_sign_turned(labels: Floats) -> None:
    one, other = heard(labels, 0.2, 1), heard(labels, 0.3, 2)
    there = paired_difference(one, other, labels, groups=GROUPS)
    back = paired_difference(other, one, labels, groups=GROUPS)
    assert there.difference is not None
    assert there.high is not None
    assert back.difference == pytest.approx(-there.difference)
    assert back.low == pytest.approx(-there.high)


def test_saying_the_same_of_every_clip_counts_as_no_correlation(labels: Floats) -> None:
    one, other = heard(labels, 0.1, 1), heard(labels, 0.1, 1)
    other[:, 1] = 0.5
    found = paired_difference(other, one, labels)
    second = pearson(one[:, 1], labels[:, 1])
    assert second is not None
    assert found.difference == pytest.approx(-second / 2)
    assert found.high is not None
    assert found.high < 0


def test_labels_that_are_all_alike_are_left_out_for_both(labels: Floats) -> None:
    one, other = heard(labels, 0.2, 1), heard(labels, 0.3, 2)
    alike = labels.copy()
    alike[:, 1] = 0.3
    found = paired_difference(one, other, alike)
    alone = paired_difference(one[:, :1], other[:, :1], labels[:, :1])
    for name in ("difference", "low", "high", "share_better"):
        assert getattr(found, name) == pytest.approx(getattr(alone, name))


def test_in_a_resample_the_same_rules_hold() -> None:
    labels = np.array([[0.0], [0.0], [1.0]])
    one, other = labels.copy(), np.array([[1.0], [0.0], [0.0]])
    # of 27 draws 9 hold equal labels and are dropped; 12 hold clips 0 and 2; in the 6 of clips 1
    # and 2 alone, the other says the same of both and counts as 0
    found = paired_difference(one, other, labels, num_resamples=2000)
    assert found.difference == pytest.approx(1.5)
    assert found.low == 1.0
    assert found.high == 2.0
    assert found.share_better == 1.0


def test_nothing_to_compare_by_is_none(labels: Floats) -> None:
    one, other = heard(labels, 0.2, 1), heard(labels, 0.3, 2)
    nothing = paired_difference(one, other, np.full_like(labels, 0.2))
    assert (nothing.difference, nothing.low, nothing.high) == (None, None, None)
    assert nothing.share_better is None
    together = paired_difference(one, other, labels, groups=["anna"] * 30)
    assert together.difference is not None
    assert (together.low, together.high, together.share_better) == (None, None, None)
