from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.metrics.rater_agreement import rater_agreement
from emi_model.metrics.raters import intraclass_correlations, krippendorff_alpha
from emi_model.metrics.resamples import resampled_counts

Doubles = NDArray[np.float64]
SPEAKERS, CLIPS, RATERS = 40, 3, 4


def drawn(rng: np.random.Generator) -> Doubles:
    """Ratings (N, 4) whose ICC(2,1) is 0.5: of the spread a quarter lies between speakers."""
    own = np.repeat(rng.normal(0, 0.5, SPEAKERS), CLIPS) + rng.normal(0, 0.5, SPEAKERS * CLIPS)
    return own[:, np.newaxis] + rng.normal(0, np.sqrt(0.5), (SPEAKERS * CLIPS, RATERS))


def names() -> list[str]:
    return [f"p{n // CLIPS}" for n in range(SPEAKERS * CLIPS)]


def test_draws_are_those_of_the_repeated_clips() -> None:
    """The quantiles of the figures that are computed from each resample's own clips."""
    table = drawn(np.random.default_rng(3))
    table[::7, 1] = np.nan
    table[0, 1:] = np.nan
    (found,) = rater_agreement([table], names(), num_resamples=200, level=0.5)
    (counts,) = resampled_counts(None, SPEAKERS, 200, 1)
    alphas, agreements = [], []
    for times in counts:
        clips = np.repeat(table, np.repeat(times, CLIPS), axis=0)
        alphas.append(krippendorff_alpha(clips))
        complete = clips[~np.isnan(clips).any(axis=1)]
        agreements.append(intraclass_correlations(complete).agreement)
    for estimate, values in (
        (found.alpha, alphas),
        (found.correlations["agreement"], agreements),
    ):
        below = np.mean(np.array(values, float) < estimate.low)
        above = np.mean(np.array(values, float) > estimate.high)
        assert (below, above) == (pytest.approx(0.245, abs=0.01), pytest.approx(0.245, abs=0.01))
    assert found.alpha.value == krippendorff_alpha(table)
    assert (found.num_clips, found.num_speakers) == (SPEAKERS * CLIPS - 1, SPEAKERS)
    assert found.num_complete == len(table[~np.isnan(table).any(axis=1)])


def test_the_truth_lies_in_most_intervals() -> None:
    rng = np.random.default_rng(0)
    tables = [drawn(rng) for _ in range(100)]
    found = rater_agreement(tables, names(), num_resamples=500)
    inside = [
        estimate.low < 0.5 < estimate.high
        for one in found
        for estimate in (one.correlations["agreement"],)
        if estimate.low is not None and estimate.high is not None
    ]
    assert len(inside) == 100
    assert 88 <= sum(inside) <= 99


def test_what_has_no_interval() -> None:
    few, alike, empty = np.array([[1.0, 2.0], [3.0, 3.0]]), np.full((9, 2), 0.5), np.zeros((0, 2))
    (one,) = rater_agreement([few])
    assert one.alpha.value is not None
    assert (one.alpha.low, one.correlations["consistency"].low) == (None, None)
    (two,) = rater_agreement([alike])
    assert (two.alpha.value, two.alpha.low, two.num_speakers) == (None, None, 9)
    (three,) = rater_agreement([empty])
    assert (three.alpha.value, three.num_clips) == (None, 0)
    (single,) = rater_agreement([np.arange(9.0)[:, np.newaxis]])
    assert (single.alpha.value, single.correlations["one_way"].value) == (None, None)
