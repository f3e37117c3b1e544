from __future__ import annotations

import numpy as np
import pytest

from tasks.evaluation.reliability import MIN_CLIPS, reliability


@pytest.mark.parametrize("num_clips", [1, 4, 5, 9, 40, 2_000])
def test_bins_hold_every_clip_once_and_sparse_ones_are_joined(num_clips: int) -> None:
    predicted = np.random.default_rng(0).beta(0.4, 2.0, num_clips)
    bins = reliability(predicted, 0.5 * predicted)
    assert sum(one.num_clips for one in bins) == num_clips
    assert min(one.num_clips for one in bins) >= min(MIN_CLIPS, num_clips)
    centres = [one.predicted for one in bins]
    assert centres == sorted(centres)
    assert [one.label for one in bins] == pytest.approx([0.5 * centre for centre in centres])


def test_means_and_their_intervals() -> None:
    predicted = np.repeat([0.05, 0.95], 50)
    labels = np.tile([0.2, 0.4], 50)
    low, high = reliability(predicted, labels)
    assert (low.predicted, high.predicted) == pytest.approx((0.05, 0.95))
    assert low.label == pytest.approx(0.3)
    # the mean of 50 draws of 0.2 or 0.4 has a standard error of 0.1 / sqrt(50)
    assert low.low == pytest.approx(0.3 - 1.96 * 0.1 / 50**0.5, abs=0.01)
    assert low.high == pytest.approx(0.3 + 1.96 * 0.1 / 50**0.5, abs=0.01)


def test_one_speaker_alone_gives_no_interval() -> None:
    predicted = np.repeat([0.05, 0.95], 10)
    speakers = ["anna"] * 10 + ["berta", "carla"] * 5
    alone, several = reliability(predicted, predicted * np.linspace(0, 1, 20), speakers)
    assert (alone.low, alone.high) == (None, None)
    assert several.low is not None
    assert several.high is not None
    assert several.low <= several.label <= several.high


def test_the_ends_of_the_range_belong_to_it() -> None:
    first, last = reliability([0.0] * 5 + [1.0] * 5, [0.0] * 5 + [1.0] * 5)
    assert (first.predicted, last.predicted) == (0.0, 1.0)
