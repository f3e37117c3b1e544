"""Agreement of raters: the worked examples of the papers, and the definitions computed directly."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.metrics.raters import intraclass_correlations, krippendorff_alpha

Doubles = NDArray[np.float64]
GAP = float("nan")

SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
"""Shrout and Fleiss 1979, table 2: four judges, six targets."""

KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, GAP, GAP, GAP],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, GAP, 3],
        [GAP, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, GAP],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, GAP],
    ]
).T
"""Krippendorff 2011, part C: four observers, twelve units, missing data."""


def test_the_worked_example_of_shrout_and_fleiss() -> None:
    """Table 4 of the paper."""
    found = intraclass_correlations(SHROUT_FLEISS)
    single = (found.one_way, found.agreement, found.consistency)
    assert single == pytest.approx((0.17, 0.29, 0.71), abs=0.005)
    mean = (found.one_way_mean, found.agreement_mean, found.consistency_mean)
    assert mean == pytest.approx((0.44, 0.62, 0.91), abs=0.005)


def test_the_worked_example_of_krippendorff() -> None:
    """Interval data: 0.849 in the paper."""
    assert krippendorff_alpha(KRIPPENDORFF) == pytest.approx(0.849, abs=5e-4)


def by_definition(ratings: Doubles) -> float:
    """Alpha from all pairs, one by one."""
    units = [unit[~np.isnan(unit)] for unit in ratings]
    units = [unit for unit in units if len(unit) >= 2]
    values = np.concatenate(units)
    observed = sum(
        (a - b) ** 2 / (len(unit) - 1) for unit in units for a, b in permutations(unit, 2)
    )
    expected = sum((a - b) ** 2 for a, b in permutations(values, 2)) / (len(values) - 1)
    return float(1 - observed / expected)


def by_least_squares(ratings: Doubles) -> tuple[float, float]:
    """ICC(A,1) and ICC(C,1) from sums of squares that fits of dummies leave."""
    n, k = ratings.shape
    clip, rater = (axis.ravel() for axis in np.indices(ratings.shape))
    ones, clips, raters = np.ones((n * k, 1)), np.eye(n)[clip], np.eye(k)[rater]

    def left(*designs: Doubles) -> float:
        design = np.hstack(designs)
        fitted = design @ np.linalg.lstsq(design, ratings.ravel(), rcond=None)[0]
        return float(np.square(ratings.ravel() - fitted).sum())

    error = left(ones, clips, raters) / ((n - 1) * (k - 1))
    between = (left(ones) - left(ones, clips)) / (n - 1)
    level = (left(ones) - left(ones, raters)) / (k - 1)
    agreement = (between - error) / (between + (k - 1) * error + k * (level - error) / n)
    return agreement, (between - error) / (between + (k - 1) * error)


def test_other_computations_agree() -> None:
    rng = np.random.default_rng(0)
    ratings = rng.normal(0, 1, (15, 1)) + rng.normal(0, 1, (15, 4)) + rng.normal(0, 1, 4)
    found = intraclass_correlations(ratings)
    assert (found.agreement, found.consistency) == pytest.approx(by_least_squares(ratings))
    ratings[rng.random(ratings.shape) < 0.3] = GAP
    ratings[0] = [1.0, GAP, GAP, GAP]
    assert krippendorff_alpha(ratings) == pytest.approx(by_definition(ratings))
    assert krippendorff_alpha(ratings + 1e6) == pytest.approx(by_definition(ratings), rel=1e-6)


def test_what_is_undefined() -> None:
    for alike in (0.1, 0.5, 1.0):  # the mean of seven 0.1 is not 0.1
        assert krippendorff_alpha(np.full((7, 3), alike)) is None
    assert krippendorff_alpha([[1.0, GAP], [GAP, 2.0]]) is None
    alike = intraclass_correlations(np.full((3, 2), 0.5))
    assert (alike.agreement, alike.one_way_mean) == (None, None)
    perfect = intraclass_correlations([[1.0, 1.0], [2.0, 2.0]])
    assert (perfect.agreement, perfect.consistency_mean) == (1.0, 1.0)


@pytest.mark.parametrize("ratings", [[[1.0, 2.0]], [[1.0], [2.0]], [[1.0, GAP], [2.0, 3.0]]])
def test_ratings_that_are_too_few(ratings: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected two clips and two raters"):
        intraclass_correlations(ratings)
    with pytest.raises(ValueError, match="none infinite"):
        krippendorff_alpha([[1.0, float("inf")]])
