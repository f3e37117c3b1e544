from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from emi_model.errors import CheckpointError
from emi_model.metrics.conformal import Intervals, calibrate, rank_of

Floats = NDArray[np.float64]

TARGETS = ("Joy", "Empathic Pain")

# binary fractions: sums and differences are exact, and ties come up often
units = st.integers(0, 64).map(lambda number: number / 64)
levels = st.integers(1, 99).map(lambda percent: percent / 100)


@st.composite
def calibrations(draw: st.DrawFn) -> tuple[Floats, Floats]:
    shape = (draw(st.integers(1, 25)), 2)
    predictions = arrays(np.float64, shape, elements=units.map(lambda unit: 2 * unit - 0.5))
    return draw(predictions), draw(arrays(np.float64, shape, elements=units))


@given(st.integers(1, 2000), st.integers(1, 99))
def test_the_rank_is_exact(num_clips: int, percent: int) -> None:
    rank = rank_of(num_clips, percent / 100)
    share = Fraction(percent, 100)
    assert rank >= share * (num_clips + 1) > rank - 1


def test_the_rank_counts_in_decimals() -> None:
    assert 100 * 0.55 > 55  # as binary fractions have it
    assert rank_of(99, 0.55) == 55
    assert rank_of(9, 0.9) == 9
    assert rank_of(8, 0.9) == 9


@given(calibrations(), levels)
def test_the_width_is_the_smallest_residual_that_enough_others_do_not_exceed(
    clips: tuple[Floats, Floats], level: float
) -> None:
    predictions, labels = clips
    intervals = calibrate(predictions, labels, TARGETS, level=level)
    needed = Fraction(str(level)) * (len(labels) + 1)
    for column, target in enumerate(TARGETS):
        residuals = np.abs(labels[:, column] - predictions[:, column].clip(0, 1))
        enough = [r for r in residuals if np.sum(residuals <= r) >= needed]
        assert intervals.half_widths[target] == min(enough, default=None)


def test_too_few_clips_have_no_width_and_so_no_bounds() -> None:
    labels = np.linspace(0, 1, 16).reshape(8, 2)
    few = calibrate(labels, labels, TARGETS, level=0.9)
    assert few.half_widths == {"Joy": None, "Empathic Pain": None}
    assert few.bounds([0.1, 0.2]) == {}
    assert few.coverage(labels, labels) == {}
    enough = calibrate(np.vstack([labels, labels[:1]]), np.vstack([labels, labels[:1]]), TARGETS)
    assert enough.half_widths == {"Joy": 0.0, "Empathic Pain": 0.0}


@given(st.floats(-2.0, 3.0), st.floats(0.0, 1.0))
def test_bounds_hold_the_score_and_stay_in_the_range_of_labels(score: float, width: float) -> None:
    intervals = Intervals(0.9, {"Joy": None, "Empathic Pain": width}, 30)
    found = intervals.bounds(np.array([0.5, score]))
    assert list(found) == ["Empathic Pain"]
    low, high = found["Empathic Pain"]
    assert 0.0 <= low <= min(max(score, 0.0), 1.0) <= high <= 1.0
    assert high - low <= 2 * width + 1e-9
    assert type(low) is type(high) is float


def test_bounds_are_the_score_and_the_width_on_either_side() -> None:
    intervals = Intervals(0.9, {"Joy": 0.2, "Empathic Pain": 0.3}, 30)
    found = intervals.bounds([0.5, 0.9])
    assert found["Joy"] == pytest.approx((0.3, 0.7))
    assert found["Empathic Pain"] == pytest.approx((0.6, 1.0))
    with pytest.raises(ValueError, match="zip"):
        intervals.bounds([0.5])


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_new_clips_lie_inside_as_often_as_promised_on_average(level: float) -> None:
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        labels = generator.beta(0.5, 2.0, (70, 2))
        predictions = 0.5 * labels + 0.3 * generator.standard_normal((70, 2))
        intervals = calibrate(predictions[:20], labels[:20], TARGETS, level=level)
        covered.extend(intervals.coverage(predictions[20:], labels[20:]).values())
    # without ties the share lies between the level and one rank more, 1 / 21
    assert level - 0.02 < np.mean(covered) < level + 1 / 21 + 0.02


@given(calibrations(), levels)
def test_the_share_of_labels_inside_is_counted(clips: tuple[Floats, Floats], level: float) -> None:
    predictions, labels = clips
    intervals = calibrate(predictions, labels, TARGETS, level=level)
    coverage = intervals.coverage(predictions, labels)
    for target, share in coverage.items():
        column = TARGETS.index(target)
        ends = [intervals.bounds(row)[target] for row in predictions]
        inside = [
            low <= label <= high for (low, high), label in zip(ends, labels[:, column], strict=True)
        ]
        assert share == np.mean(inside) >= level  # on their own clips, never below


def test_intervals_survive_json() -> None:
    generator = np.random.default_rng(0)
    intervals = calibrate(
        generator.random((40, 2)), generator.random((40, 2)), TARGETS, split_sha256="ab12"
    )
    read = Intervals.from_dict(json.loads(json.dumps(intervals.to_dict(), allow_nan=False)))
    assert read == intervals
    assert read.targets == TARGETS
    assert (read.level, read.num_clips, read.split_sha256) == (0.9, 40, "ab12")
    without = Intervals(0.9, {"Joy": None}, 3)
    assert Intervals.from_dict(json.loads(json.dumps(without.to_dict()))) == without


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": 90},
        {"level": "high"},
        {"half_widths": [0.1]},
        {"half_widths": {"Joy": -0.1}},
        {"half_widths": {"Joy": float("nan")}},
        {"num_clips": None},
    ],
)
def test_what_are_no_intervals_is_refused(wrong: dict[str, Any]) -> None:
    content = Intervals(0.9, {"Joy": 0.1}, 30).to_dict() | wrong
    with pytest.raises(CheckpointError, match="calibrate again"):
        Intervals.from_dict(content)


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(CheckpointError, match="split_sha256"):
        Intervals.from_dict({"level": 0.9, "half_widths": {}, "num_clips": 3})


@pytest.mark.parametrize(
    ("predictions", "labels", "level", "said"),
    [
        ([[0.5]], [[0.5]], 1.0, "found level"),
        ([[0.5]], [[1.5]], 0.9, "found labels"),
        ([0.5], [0.5], 0.9, "clips, targets"),
        ([[0.5, 0.5]], [[0.5, 0.5]], 0.9, "zip"),
        ([[0.5]], [[float("inf")]], 0.9, "not finite"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(
    predictions: list[Any], labels: list[Any], level: float, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        calibrate(predictions, labels, ["Joy"], level=level)


def test_missing_labels_count_neither_in_a_width_nor_in_coverage() -> None:
    predictions = np.full((21, 2), 0.5)
    labels = np.linspace(0.3, 0.7, 42).reshape(21, 2)
    labels[4:, 1] = np.nan
    intervals = calibrate(predictions, labels, ("joy", "fear"))
    alone = calibrate(predictions[:, :1], labels[:, :1], ("joy",))
    assert intervals.half_widths == {"joy": alone.half_widths["joy"], "fear": None}
    labels[:, 0] = [0.5] + [np.nan] * 20
    assert intervals.coverage(predictions, labels) == {"joy": 1.0}
    labels[:, 0] = np.nan
    assert intervals.coverage(predictions, labels) == {}
