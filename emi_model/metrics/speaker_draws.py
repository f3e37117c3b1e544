"""Draws of whole speakers with replacement, and the intervals and p-values that they give.

A percentile interval of n speakers is too narrow, by the factor sqrt((n - 1) / n) and by taking
the normal distribution for Student's. The expanded percentile interval mends both: it reads the
quantiles further out (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", The
American Statistician 69(4), section 4.2). Between two groups the degrees of freedom are those of
Welch (1947, Biometrika 34(1-2)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emi_model.arrays import Doubles
from emi_model.metrics.bootstrap import quantiles_of
from emi_model.metrics.resamples import Counts, resampled_counts
from emi_model.metrics.student import NORMAL, student_p, student_quantile

FEWEST_SPEAKERS = 5
"""With fewer of them in a group there is no interval: too few different resamples."""

FEWEST_DRAWS = 10
"""Draws beyond a value, from which a share of them is known well enough."""

MOST_UNITS = 5_000
"""More speakers are put together into so many random groups, which are drawn in their place."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure in every resample.

    Attributes:
        values: (R,), NaN where undefined.
        freedom: degrees of freedom.
        too_narrow: by how much their spread is, from 1.
    """

    values: Doubles
    freedom: int
    too_narrow: float

    def interval(self, level: float) -> tuple[float, float] | tuple[None, None]:
        """Return the expanded percentile interval."""
        below = NORMAL.cdf(-self.too_narrow * student_quantile(level, self.freedom))
        return quantiles_of(self.values, (below, 1.0 - below), self.freedom + 1)

    def p(self) -> float:
        """Return the two-sided p-value of 0: the level of the interval that just ends there.

        Where hardly a draw lies beyond 0, the level cannot be read off them: from there on it goes
        down as Student's distribution does, with the spread of the draws.
        """
        defined = self.values[~np.isnan(self.values)]
        beyond = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
        share = min(0.5, max(1 + beyond, FEWEST_DRAWS) / (1 + len(defined)))
        t = -NORMAL.inv_cdf(share) / self.too_narrow
        if beyond < FEWEST_DRAWS and (spread := float(defined.std())) > 0:
            t = max(t, abs(float(defined.mean())) / (spread * self.too_narrow))
        return student_p(t, self.freedom)


def of_one_draw(values: Doubles, num_speakers: int) -> Drawn | None:
    """Return a figure for which all speakers were drawn at once; None with too few."""
    if num_speakers < FEWEST_SPEAKERS:
        return None
    return Drawn(values, num_speakers - 1, math.sqrt(num_speakers / (num_speakers - 1)))


def of_two_draws(means: Doubles, numbers: tuple[int, int]) -> Drawn | None:
    """Return the difference of two groups of which each was drawn for itself; None with too few.

    Args:
        means: (R, 2), NaN where no speaker who was drawn has a value.
        numbers: speakers of each who have one.
    """
    if min(numbers) < FEWEST_SPEAKERS:
        return None
    found = np.nanvar(means, axis=0)
    true = found * [number / (number - 1) for number in numbers]
    if not found.sum() > 0:
        return Drawn(means[:, 0] - means[:, 1], min(numbers) - 1, 1.0)
    shares = [variance**2 / (number - 1) for variance, number in zip(true, numbers, strict=True)]
    freedom = int(true.sum() ** 2 / sum(shares))
    return Drawn(means[:, 0] - means[:, 1], freedom, math.sqrt(true.sum() / found.sum()))


def resampled_means(
    weights: Doubles, values: Doubles, strata: Counts, num_resamples: int, seed: int
) -> Doubles:
    """Return the weighted means over the speakers drawn in each resample, (R, ...).

    Args:
        weights: (K, ...).
        values: (K, ...).
        strata: (K,); speakers of a stratum are drawn among themselves.
        num_resamples: R.
        seed: of the draws.
    """
    shape = weights.shape[1:]
    total = np.maximum(weights.sum(axis=0), 1.0)
    middle = (weights * values).sum(axis=0) / total  # first taken away: sums lose no digits
    parts = np.stack([weights * (values - middle), weights], axis=1).reshape(len(weights), -1)
    sums = np.zeros((num_resamples, parts.shape[1]))
    for number in np.unique(strata):
        units = _units(parts[strata == number], seed)
        sums += _drawn_sums(units, num_resamples, seed + int(number))
    above, below = sums.reshape(num_resamples, 2, *shape).transpose(1, 0, *range(2, 2 + len(shape)))
    means: Doubles = np.full((num_resamples, *shape), np.nan)
    np.divide(above, below, out=means, where=below > 0.5)
    means += middle
    return means


def resampled_sums(parts: Doubles, num_resamples: int, seed: int) -> Doubles:
    """Return the sums over the speakers drawn in each resample, (R, F).

    Args:
        parts: (K, F), what each speaker adds.
        num_resamples: R.
        seed: of the draws.
    """
    return _drawn_sums(_units(parts, seed), num_resamples, seed)


def _drawn_sums(units: Doubles, num_resamples: int, seed: int) -> Doubles:
    counts = resampled_counts(None, len(units), num_resamples, seed)
    return np.concatenate([drawn.astype(np.float64) @ units for drawn in counts])


def _units(parts: Doubles, seed: int) -> Doubles:
    """Return what is drawn: speakers (K, F), or random groups of them where there are very many.

    The spread of random groups is that of their members (Wolter 2007, "Introduction to Variance
    Estimation", chapter 2).
    """
    if len(parts) <= MOST_UNITS:
        return parts
    mixed = parts[np.random.default_rng(seed).permutation(len(parts))]
    size = -(-len(parts) // MOST_UNITS)
    summed: Doubles = np.add.reduceat(mixed, np.arange(0, len(parts), size), axis=0)
    return summed
