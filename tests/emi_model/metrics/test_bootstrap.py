from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emi_model.metrics.agreement import evaluate, mean_defined, mean_pearson
from emi_model.metrics.bootstrap import Estimate, evaluate_with_intervals, paired_difference
from emi_model.metrics.resamples import METRIC_NAMES, resampled_counts

Floats = NDArray[np.float64]

TARGETS = ("Joy", "Amusement")
GROUPS = [f"speaker {clip // 4}" for clip in range(40)]


def noisy(seed: int, noise: float = 0.2, num_clips: int = 40) -> tuple[Floats, Floats]:
    """Return predictions and labels (num_clips, 2) that follow each other more or less."""
    generator = np.random.default_rng(seed)
    labels = generator.random((num_clips, 2))
    return (labels + noise * generator.standard_normal(labels.shape)).clip(0, 1), labels


def resamples(predictions: Floats, labels: Floats, seed: int, num: int) -> list[dict[str, Floats]]:
    """Return {figure: (2,)} of each resample of whole speakers, its clips written out."""
    (counts,) = resampled_counts(GROUPS, len(labels), num, seed)
    found = []
    for row in counts:
        metrics = evaluate(
            np.repeat(predictions, row, axis=0), np.repeat(labels, row, axis=0), TARGETS
        )
        found.append({n: np.array([getattr(metrics[t], n) for t in TARGETS]) for n in METRIC_NAMES})
    return found


def test_values_are_those_of_the_clips_as_they_are() -> None:
    predictions, labels = noisy(1)
    evaluation = evaluate_with_intervals(predictions, labels, TARGETS, num_resamples=50)
    metrics = evaluate(predictions, labels, TARGETS)
    for name in METRIC_NAMES:
        expected = [getattr(metrics[target], name) for target in TARGETS]
        found = [getattr(evaluation.targets[target], name).value for target in TARGETS]
        assert found == expected
        assert getattr(evaluation.mean, name).value == mean_defined(expected)
    assert evaluation.mean.pearson.value == mean_pearson(metrics)
    assert (evaluation.num_clips, evaluation.num_groups) == (40, 40)
    assert (evaluation.level, evaluation.num_resamples) == (0.95, 50)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_ends_are_percentiles_of_the_resampled_figures(level: float) -> None:
    predictions, labels = noisy(2)
    evaluation = evaluate_with_intervals(
        predictions, labels, TARGETS, groups=GROUPS, num_resamples=80, level=level, seed=7
    )
    expected = resamples(predictions, labels, 7, 80)
    shares = [50 * (1 - level), 50 * (1 + level)]
    for name in METRIC_NAMES:
        found = getattr(evaluation.targets["Amusement"], name)
        assert [found.low, found.high] == pytest.approx(
            np.percentile([figures[name][1] for figures in expected], shares)
        )
        mean = getattr(evaluation.mean, name)
        assert [mean.low, mean.high] == pytest.approx(
            np.percentile([figures[name].mean() for figures in expected], shares)
        )
    assert evaluation.num_groups == 10


@given(st.integers(0, 1000))
def test_values_lie_in_range_and_ends_in_order(seed: int) -> None:
    predictions, labels = noisy(seed, num_clips=12)
    evaluation = evaluate_with_intervals(predictions, labels, TARGETS, num_resamples=100)
    for figures in (*evaluation.targets.values(), evaluation.mean):
        for each in fields(figures):
            estimate = getattr(figures, each.name)
            assert -1.0 <= estimate.low <= estimate.high <= 1.0


def test_no_groups_and_groups_of_one_clip_are_the_same() -> None:
    predictions, labels = noisy(3)
    expected = evaluate_with_intervals(predictions, labels, TARGETS, num_resamples=60)
    for groups in ([str(clip) for clip in range(40)], [""] * 40, [None] * 40):
        assert expected == evaluate_with_intervals(
            predictions, labels, TARGETS, groups=groups, num_resamples=60
        )


def test_one_seed_gives_the_same_and_another_does_not() -> None:
    predictions, labels = noisy(4)
    first, again, other = (
        evaluate_with_intervals(predictions, labels, TARGETS, num_resamples=60, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first.targets["Joy"].pearson.low != other.targets["Joy"].pearson.low
    assert first.targets["Joy"].pearson.value == other.targets["Joy"].pearson.value


@given(st.permutations(range(40)))
def test_the_order_of_the_clips_changes_no_value(order: list[int]) -> None:
    predictions, labels = noisy(5)
    shuffled = [GROUPS[clip] for clip in order]
    for name in METRIC_NAMES:
        values = [
            getattr(evaluate_with_intervals(p, y, TARGETS, groups=g, num_resamples=2).mean, name)
            for p, y, g in (
                (predictions, labels, GROUPS),
                (predictions[order], labels[order], shuffled),
            )
        ]
        assert values[0].value == pytest.approx(values[1].value)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    correlation, mean_error = 0.6, 1.0
    generator = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(300):
        labels = generator.standard_normal((50, 1))
        noise = generator.standard_normal((50, 1))
        predictions = correlation * labels + np.sqrt(1 - correlation**2) * noise
        # a second column whose error is exponential with a mean of 1
        errors = generator.exponential(mean_error, (50, 1))
        evaluation = evaluate_with_intervals(
            np.hstack([predictions, labels + errors]),
            np.hstack([labels, labels]),
            TARGETS,
            num_resamples=400,
            level=0.9,
        )
        found = evaluation.targets["Joy"].pearson, evaluation.targets["Amusement"].mae
        held += [_holds(found[0], correlation), _holds(found[1], mean_error)]
    assert (held / 300 > 0.83).all()
    assert (held / 300 < 0.95).all()


def _holds(estimate: Estimate, truth: float) -> bool:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low <= truth <= estimate.high


def test_speakers_whose_clips_are_alike_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    labels, errors = generator.random((2, 20, 1))
    groups = [f"speaker {speaker}" for speaker in range(20) for _ in range(10)]
    clips = np.repeat(labels, 10, axis=0) + 0.01 * generator.standard_normal((200, 1))
    predictions = clips + np.repeat(errors, 10, axis=0)
    widths = []
    for grouped in (groups, None):
        mean = evaluate_with_intervals(predictions, clips, ["Joy"], groups=grouped).mean
        for estimate in (mean.pearson, mean.mae):
            assert estimate.low is not None
            assert estimate.high is not None
            widths.append(estimate.high - estimate.low)
    assert widths[0] > 2 * widths[2]
    assert widths[1] > 2 * widths[3]


def test_a_target_without_correlation_stays_out_of_the_mean_and_its_interval() -> None:
    predictions, labels = noisy(6)
    labels[:, 1] = 0.1
    both = evaluate_with_intervals(predictions, labels, TARGETS, num_resamples=90)
    alone = evaluate_with_intervals(predictions[:, :1], labels[:, :1], ["Joy"], num_resamples=90)
    assert both.targets["Amusement"].pearson == Estimate(None, None, None)
    assert both.targets["Amusement"].ccc == Estimate(None, None, None)
    assert both.targets["Amusement"].mae.low is not None
    for name in ("value", "low", "high"):
        found, expected = getattr(both.mean.pearson, name), getattr(alone.mean.pearson, name)
        assert found == pytest.approx(expected)


def test_one_group_has_values_and_no_interval() -> None:
    predictions, labels = noisy(7)
    evaluation = evaluate_with_intervals(predictions, labels, TARGETS, groups=["anna"] * 40)
    assert evaluation.num_groups == 1
    assert evaluation.mean.rmse.value is not None
    assert (evaluation.mean.rmse.low, evaluation.mean.rmse.high) == (None, None)


def test_a_target_that_only_one_group_has_labels_of_has_no_interval() -> None:
    # every resample with this group gives the same figure: its quantiles would be that figure
    predictions, labels = noisy(7)
    labels[4:, 1] = np.nan
    found = evaluate_with_intervals(predictions, labels, TARGETS, groups=GROUPS)
    assert found.targets["Amusement"].pearson.value is not None
    for estimate in vars(found.targets["Amusement"]).values():
        assert (estimate.low, estimate.high) == (None, None)
    assert found.targets["Joy"].pearson.low is not None
    assert (found.num_groups, found.mean.pearson.low is None) == (10, False)
    labels[4:, 0] = np.nan
    alone = evaluate_with_intervals(predictions, labels, TARGETS, groups=GROUPS)
    assert (alone.mean.pearson.low, alone.mean.mae.high) == (None, None)
    apart = paired_difference(predictions, 1 - predictions, labels, groups=GROUPS)
    assert apart.difference is not None
    assert (apart.low, apart.high, apart.share_better) == (None, None, None)


def test_a_figure_that_most_resamples_leave_undefined_has_no_interval() -> None:
    # defined only where the first and the last clip are both drawn, 12 times of 27
    predictions, labels = np.array([[1.0], [0.0], [0.0]]), np.array([[0.0], [0.0], [1.0]])
    found = evaluate_with_intervals(predictions, labels, ["Joy"]).targets["Joy"]
    assert found.pearson == Estimate(pytest.approx(-0.5), None, None)
    assert found.ccc.low is not None  # only the labels must vary: 18 times of 27
    assert found.mae.low is not None


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
def test_a_level_is_a_share(level: float) -> None:
    predictions, labels = noisy(8)
    with pytest.raises(ValueError, match="found level"):
        evaluate_with_intervals(predictions, labels, TARGETS, num_resamples=5, level=level)
    with pytest.raises(ValueError, match="found level"):
        paired_difference(predictions, predictions, labels, num_resamples=5, level=level)


def test_what_cannot_be_evaluated_is_refused() -> None:
    predictions, labels = noisy(9)
    with pytest.raises(ValueError, match="clips, targets"):
        evaluate_with_intervals(predictions[:, 0], labels[:, 0], ["Joy"])
    with pytest.raises(ValueError, match="zip"):
        evaluate_with_intervals(predictions, labels, ["Joy"])
    with pytest.raises(ValueError, match="one shape"):
        paired_difference(predictions, predictions[:, :1], labels)
