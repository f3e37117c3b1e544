"""The uncertainty of metrics: bootstrap intervals over clips.

Clips of one speaker are alike, so whole groups are drawn with replacement, all clips of a group
together (the cluster bootstrap: Davison and Hinkley 1997, "Bootstrap Methods and their
Application", section 3.8; Field and Welsh 2007, JRSS B 69(3)). Intervals are percentiles of the
resampled metrics (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13): they
stay in a metric's range and need no formula for its spread. With few groups (below about twenty)
they are somewhat too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from emi_model.arrays import Doubles
from emi_model.metrics.agreement import (
    checked_level,
    evaluate,
    mean_defined,
    pair_columns,
    pearson,
)
from emi_model.metrics.resamples import (
    METRIC_NAMES,
    num_rated_groups,
    number_groups,
    resample_metrics,
)

FEW_GROUPS = 20
"""With fewer of them, intervals are somewhat too narrow."""

DECIMALS = 12
"""Differences are rounded to these, so that equal models tie in whatever order sums are made."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval.

    Attributes:
        value: on the clips as they are; None where undefined.
        low: lower end; None with labels of fewer than two groups, or where more than half of the
            resamples leave the figure undefined.
        high: upper end; None where ``low`` is.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class TargetFigures:
    """One target's figures with their intervals; formulae: `emi_model.metrics.agreement`."""

    pearson: Estimate
    ccc: Estimate
    mae: Estimate
    rmse: Estimate


@dataclass(frozen=True)
class Evaluation:
    """Figures over a set of clips.

    Attributes:
        targets: figures of each target.
        mean: of the means over the targets; correlations over the targets that have one.
        num_clips: clips they were measured on.
        num_groups: speakers, a clip without one counted for itself.
        level: share of resamples inside each two-sided interval.
        num_resamples: draws the intervals are made of.
    """

    targets: dict[str, TargetFigures]
    mean: TargetFigures
    num_clips: int
    num_groups: int
    level: float
    num_resamples: int


@dataclass(frozen=True)
class PairedDifference:
    """How much better one model follows the labels than another, on the same clips.

    Attributes:
        difference: mean Pearson of the one less that of the other; None where no target's labels
            vary.
        low: one-sided lower bound, the ``1 - level`` quantile of the resampled differences; None
            with labels of fewer than two groups, or where more than half of the resamples are
            undefined.
        high: one-sided upper bound, the ``level`` quantile; None where ``low`` is. Both together
            bound an interval of ``2 level - 1`` only: 90 % at a level of 0.95.
        share_better: share of resamples in which the one is better, ties not counted; None where
            ``low`` is.
        num_clips: clips both were measured on.
        num_groups: speakers, a clip without one counted for itself.
        level: of each bound.
        num_resamples: draws the bounds are made of.
    """

    difference: float | None
    low: float | None
    high: float | None
    share_better: float | None
    num_clips: int
    num_groups: int
    level: float
    num_resamples: int


def evaluate_with_intervals(
    predictions: ArrayLike,
    labels: ArrayLike,
    targets: Sequence[str],
    *,
    groups: Sequence[str | None] | None = None,
    num_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 1,
) -> Evaluation:
    """Return figures of each target and their means, with intervals from the same resamples.

    A resample that leaves a target's correlation undefined (labels or predictions all alike) is
    dropped from that target's distribution; the mean of that resample is over the other targets.

    Args:
        predictions: (N, T).
        labels: (N, T), NaN where one is missing.
        targets: T names, in the order of the columns.
        groups: N speakers; None or an empty name: the clip is a group of its own.
        num_resamples: draws of as many groups as there are.
        level: share of resamples inside an interval, in (0, 1); as many lie below it as above.
        seed: of the draws.

    Raises:
        ValueError: shapes that differ or do not fit, no clip, values not finite, a level or a
            number of resamples out of range.
    """
    predicted, true = pair_columns(predictions, labels)
    measured = evaluate(predicted, true, targets)
    values = [[getattr(metrics, name) for name in METRIC_NAMES] for metrics in measured.values()]
    means = [mean_defined(column) for column in zip(*values, strict=True)]
    samples = resample_metrics(predicted, true, groups, num_resamples, seed)
    num_rated = num_rated_groups(groups, true)
    shares = ((1 - checked_level(level)) / 2, (1 + level) / 2)
    return Evaluation(
        targets={
            target: _estimates(values[column], samples[:, :, column], shares, num_rated[column])
            for column, target in enumerate(targets)
        },
        mean=_estimates(means, row_means(samples), shares, num_rated[-1]),
        num_clips=len(true),
        num_groups=int(number_groups(groups, len(true)).max()) + 1,
        level=level,
        num_resamples=num_resamples,
    )


def paired_difference(
    one: ArrayLike,
    other: ArrayLike,
    labels: ArrayLike,
    *,
    groups: Sequence[str | None] | None = None,
    num_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 1,
) -> PairedDifference:
    """Return how much better ``one`` follows the labels than ``other``, with one-sided bounds.

    Both are measured on the same resamples, so what makes a clip hard for both does not count.
    Targets whose labels are all alike are left out for both, in that resample or altogether. Where
    the predictions are all alike and the labels are not, the correlation counts as 0.

    Args:
        one: predictions (N, T).
        other: predictions (N, T) of the same clips and targets.
        labels: (N, T), NaN where one is missing.
        groups: N speakers; None or an empty name: the clip is a group of its own.
        num_resamples: draws of as many groups as there are.
        level: of each one-sided bound, in (0, 1).
        seed: of the draws.

    Raises:
        ValueError: as in `evaluate_with_intervals`.
    """
    first, true = pair_columns(one, labels)
    second, _ = pair_columns(other, labels)
    samples = resample_metrics(
        np.hstack([first, second]), np.hstack([true, true]), groups, num_resamples, seed
    )
    means = [row_means(skill_of(part)) for part in np.split(samples, 2, axis=2)]
    differences = np.round(means[0] - means[1], DECIMALS)
    shares = (1 - checked_level(level), level)
    low, high = quantiles_of(differences, shares, num_rated_groups(groups, true)[-1])
    defined = differences[~np.isnan(differences)]
    return PairedDifference(
        difference=_difference(first, second, true),
        low=low,
        high=high,
        share_better=None if low is None else float(np.mean(defined > 0)),
        num_clips=len(true),
        num_groups=int(number_groups(groups, len(true)).max()) + 1,
        level=level,
        num_resamples=num_resamples,
    )


def _estimates(
    values: Sequence[float | None], samples: Doubles, shares: tuple[float, float], num_groups: int
) -> TargetFigures:
    """Return values in the order of `METRIC_NAMES` with the quantiles of their samples (4, R)."""
    bounds = (quantiles_of(sample, shares, num_groups) for sample in samples)
    return TargetFigures(*(Estimate(v, *b) for v, b in zip(values, bounds, strict=True)))


def skill_of(figures: Doubles) -> Doubles:
    """Return Pearson (R, T) from figures (4, R, T), 0 where only the predictions are all alike.

    It is `emi_model.metrics.agreement.TargetMetrics.skill`, which says why, of arrays.
    """
    correlation, concordance = figures[:2]
    nothing_learnt = np.isnan(correlation) & ~np.isnan(concordance)
    skill: Doubles = np.where(nothing_learnt, 0.0, correlation)
    return skill


def _difference(one: Doubles, other: Doubles, true: Doubles) -> float | None:
    """Return the difference of mean Pearson on the clips as they are, by the rule of `skill_of`."""
    rated = [(column, ~np.isnan(true[:, column])) for column in range(true.shape[1])]
    varied = [(c, rows) for c, rows in rated if rows.any() and np.ptp(true[rows, c]) > 0]
    means = [
        mean_defined(pearson(p[rows, column], true[rows, column]) or 0.0 for column, rows in varied)
        for p in (one, other)
    ]
    if means[0] is None or means[1] is None:
        return None
    return round(means[0] - means[1], DECIMALS)


def row_means(values: Doubles) -> Doubles:
    """Return the mean over the last axis of the values that are not NaN; NaN if all are."""
    defined = ~np.isnan(values)
    counts = defined.sum(axis=-1)
    sums = np.where(defined, values, 0.0).sum(axis=-1)
    means = np.full(counts.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def quantiles_of(
    samples: Doubles, shares: tuple[float, float], num_groups: int
) -> tuple[float, float] | tuple[None, None]:
    """Return the quantiles of the samples (R,) that are defined; see `Estimate` for None."""
    defined = samples[~np.isnan(samples)]
    if num_groups < 2 or 2 * len(defined) < len(samples):
        return None, None
    low, high = np.quantile(defined, shares)
    return float(low), float(high)
