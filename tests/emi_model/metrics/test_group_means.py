"""Means of groups: a made-up study whose truth is known, and what can be computed otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.metrics.group_cells import Cells
from emi_model.metrics.group_means import GroupComparison, GroupDifference, compare_groups
from emi_model.metrics.speaker_draws import FEWEST_SPEAKERS, MOST_UNITS, of_two_draws

Doubles = NDArray[np.float64]

NUM_SPEAKERS, NUM_CLIPS, TRUE_DIFFERENCE = 40, 12, 0.08
SPEAKERS = [f"speaker{number:02d}" for number in range(NUM_SPEAKERS) for _ in range(NUM_CLIPS)]
BETWEEN = ["control"] * (len(SPEAKERS) // 2) + ["treated"] * (len(SPEAKERS) // 2)
WITHIN = ["control", "treated"] * (len(SPEAKERS) // 2)


def study(seed: int, conditions: list[str]) -> Doubles:
    """Scores of 480 clips: speakers differ by 0.1 (SD), clips of one speaker by another 0.1."""
    rng = np.random.default_rng(seed)
    own = np.repeat(rng.normal(0.0, 0.1, NUM_SPEAKERS), NUM_CLIPS)
    treated = np.array([condition == "treated" for condition in conditions])
    scores: Doubles = 0.4 + own + rng.normal(0.0, 0.1, len(own)) + TRUE_DIFFERENCE * treated
    return scores


def difference_of(
    scores: Doubles, conditions: list[str], speakers: list[str] | None, *, within: bool = False
) -> GroupDifference:
    cells = Cells.of_clips(["joy"], scores, conditions, speakers)
    (found,) = compare_groups(cells, is_within=within, num_resamples=1000).differences
    return found


def num_holding_the_truth(conditions: list[str], *, within: bool) -> int:
    """Of 100 studies, those whose interval over speakers holds the true difference."""
    held = 0
    for seed in range(100):
        found = difference_of(study(seed, conditions), conditions, SPEAKERS, within=within)
        low, high = found.difference.low, found.difference.high
        assert low is not None
        assert high is not None
        held += low <= -TRUE_DIFFERENCE <= high  # control less treated
    return held


def test_the_interval_over_speakers_holds_the_truth_as_often_as_it_says() -> None:
    """The interval of the difference at 95 %, in 100 made-up studies."""
    assert 90 <= num_holding_the_truth(BETWEEN, within=False) <= 98


def test_the_naive_interval_over_clips_does_not() -> None:
    """Twelve clips of one speaker are not twelve speakers: this is why speakers are drawn."""
    scores = np.stack([study(seed, BETWEEN) for seed in range(100)])
    control, treated = np.split(scores, 2, axis=1)
    apart = control.mean(axis=1) - treated.mean(axis=1)
    reach = 1.96 * np.sqrt((control.var(axis=1) + treated.var(axis=1)) / 240)
    assert (np.abs(apart + TRUE_DIFFERENCE) <= reach).sum() < 60
    found = difference_of(scores[0], BETWEEN, None).difference  # ours, without the speakers
    assert width(found) == pytest.approx(2 * reach[0], rel=0.1)


def test_within_speakers_the_truth_is_held_and_the_interval_is_narrower() -> None:
    assert 90 <= num_holding_the_truth(WITHIN, within=True) <= 98
    between = difference_of(study(1, BETWEEN), BETWEEN, SPEAKERS).difference
    within = difference_of(study(1, WITHIN), WITHIN, SPEAKERS, within=True).difference
    assert width(within) < width(between) / 2


def width(estimate: object) -> float:
    low, high = getattr(estimate, "low", None), getattr(estimate, "high", None)
    assert low is not None
    assert high is not None
    return float(high - low)


class TestAgainstOtherComputations:
    def test_means_deviations_and_counts(self) -> None:
        scores = study(3, BETWEEN)
        scores[:5] = np.nan
        found = compare_groups(Cells.of_clips(["joy"], scores, BETWEEN, SPEAKERS))
        for mean in found.means:
            own = scores[[condition == mean.group for condition in BETWEEN]]
            assert mean.mean.value == pytest.approx(np.nanmean(own))
            assert mean.deviation == pytest.approx(np.nanstd(own, ddof=1))
            assert (mean.num_clips, mean.num_speakers) == ((~np.isnan(own)).sum(), 20)

    def test_the_interval_is_near_welchs_of_the_speakers_means(self) -> None:
        """As many clips a speaker: Welch's t interval over the speakers' means is exact here."""
        scores = study(5, BETWEEN)
        found = difference_of(scores, BETWEEN, SPEAKERS)
        means = scores.reshape(NUM_SPEAKERS, NUM_CLIPS).mean(axis=1)
        apart = means[:20].mean() - means[20:].mean()
        error = np.sqrt(means[:20].var(ddof=1) / 20 + means[20:].var(ddof=1) / 20)
        assert found.difference.value == pytest.approx(apart)
        assert width(found.difference) == pytest.approx(2 * 2.024 * error, rel=0.12)
        pooled = np.sqrt((scores[:240].var(ddof=1) + scores[240:].var(ddof=1)) / 2)
        assert found.effect_size == pytest.approx(apart / pooled)

    def test_p_is_below_five_percent_where_the_interval_leaves_zero_out(self) -> None:
        for seed in range(10):
            found = difference_of(study(seed, BETWEEN), BETWEEN, SPEAKERS)
            low, high, p = found.difference.low, found.difference.high, found.p
            assert low is not None
            assert high is not None
            assert p is not None
            if not 0.045 < p < 0.055:
                assert (p < 0.05) == (low > 0 or high < 0)

    def test_a_difference_within_speakers_is_the_mean_of_their_own(self) -> None:
        conditions = ["a", "b", "a", "a", "b", "b", "b"]
        speakers = ["x", "x", "y", "y", "y", "y", "z"]
        scores = np.array([0.1, 0.4, 0.2, 0.4, 0.5, 0.7, 0.9])
        found = difference_of(scores, conditions, speakers, within=True)
        assert found.difference.value == pytest.approx(((0.1 - 0.4) + (0.3 - 0.6)) / 2)
        assert (found.num_speakers, found.difference.low, found.p) == (2, None, None)


class TestTooFew:
    def test_no_interval_with_few_speakers(self) -> None:
        for number, has in ((FEWEST_SPEAKERS - 1, False), (FEWEST_SPEAKERS, True)):
            kept = [*range(number * NUM_CLIPS), *range(240, 480)]
            found = compare_groups(
                Cells.of_clips(
                    ["joy"],
                    study(1, BETWEEN)[kept],
                    [BETWEEN[n] for n in kept],
                    [SPEAKERS[n] for n in kept],
                )
            )
            assert [mean.mean.low is not None for mean in found.means] == [has, True]
            (difference,) = found.differences
            assert (difference.difference.low is not None) == has
            assert (difference.p_holm is not None) == has
            assert difference.difference.value is not None

    def test_a_group_in_which_nobody_has_a_value(self) -> None:
        scores = np.array([[0.1, np.nan], [0.2, np.nan], [0.3, 1.0]])
        found = compare_groups(Cells.of_clips(["a", "b"], scores, ["x", "x", "y"]))
        assert [mean.mean.value for mean in found.means] == pytest.approx([0.15, 0.3, None, 1.0])
        assert [difference.difference.value for difference in found.differences] == [
            pytest.approx(-0.15),
            None,
        ]

    def test_speakers_without_a_value_change_no_spread(self) -> None:
        draws = np.random.default_rng(0).normal(0.0, 0.1, (1000, 2))
        known = of_two_draws(draws, (6, 30))
        draws[:3, 0] = np.nan  # nobody of the six was drawn
        found = of_two_draws(draws, (6, 30))
        assert known is not None
        assert found is not None
        assert found.too_narrow == pytest.approx(known.too_narrow, rel=0.01)
        assert found.freedom == known.freedom > 5

    def test_values_that_are_all_alike(self) -> None:
        found = difference_of(np.full(480, 0.5), BETWEEN, SPEAKERS)
        assert found.difference == replace(found.difference, value=0.0, low=0.0, high=0.0)
        assert (found.p, found.effect_size) == (1.0, None)

    def test_no_clip(self) -> None:
        with pytest.raises(ValueError, match="no clip in any group"):
            Cells.of_clips(["joy"], [0.5], [None])


def test_what_is_alike_gives_the_same_answer() -> None:
    """Whatever the order of clips, the names of speakers, a constant added to the scores."""

    def found(scores: Doubles, order: NDArray[np.int64]) -> GroupComparison:
        names = [SPEAKERS[n][::-1] for n in order]
        return compare_groups(
            Cells.of_clips(["joy"], scores[order], [BETWEEN[n] for n in order], names)
        )

    scores, order = study(2, BETWEEN), np.arange(len(SPEAKERS))
    first = found(scores, order).differences[0]
    moved = found(scores + 1e6, order).differences[0]
    for one, other in (
        (first.difference.value, moved.difference.value),
        (first.difference.low, moved.difference.low),
        (first.effect_size, moved.effect_size),
    ):
        assert other == pytest.approx(one, rel=1e-4)
    assert found(scores, order[::-1]).differences[0].difference.value == pytest.approx(
        first.difference.value
    )


def test_very_many_speakers_are_drawn_in_random_groups() -> None:
    number = 2 * MOST_UNITS + 7
    scores = np.random.default_rng(0).normal(0.0, 1.0, number)
    cells = Cells.of_clips(["joy"], scores, ["a"] * number)
    (mean,) = compare_groups(cells, num_resamples=200).means
    assert mean.num_speakers == number
    assert width(mean.mean) == pytest.approx(2 * 1.96 / np.sqrt(number), rel=0.25)


def test_holm_counts_every_difference_of_the_answer() -> None:
    scores = np.stack([study(4, BETWEEN), study(5, BETWEEN), study(6, BETWEEN)], axis=1)
    cells = Cells.of_clips(["a", "b", "c"], scores, BETWEEN, SPEAKERS)
    found = compare_groups(cells).differences
    smallest = min(found, key=lambda one: one.p or 1.0)
    assert smallest.p is not None
    assert smallest.p_holm == pytest.approx(min(1.0, 3 * smallest.p))
