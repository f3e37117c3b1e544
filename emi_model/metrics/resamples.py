"""Bootstrap resamples as weights of the clips, and the metrics under these weights.

A resample is a row of whole-number weights, and each metric is a function of weighted means, so a
matrix product computes thousands of resamples at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from emi_model.arrays import Doubles
from emi_model.metrics.agreement import ccc, pearson

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

METRIC_NAMES = ("pearson", "ccc", "mae", "rmse")
"""The order of the metrics in every array."""

WEIGHTS_AT_ONCE = 2**22
"""Weights (resamples x clips) in memory at once: 32 MiB as integers and 32 MiB as floats."""

VAGUE = 1e-6
"""Subtraction leaves too few digits of a variance below this share of its second moment."""


def resampled_counts(
    groups: Sequence[str | None] | None, num_clips: int, num_resamples: int, seed: int
) -> Iterator[Counts]:
    """Yield how often each clip stands in each resample: (r, num_clips), r of them at a time.

    Each resample draws as many groups as there are, with replacement; a group brings all its clips.
    The arrays have ``num_resamples`` rows in all; the same seed gives the same rows.

    Args:
        groups: a name a clip; None or empty: the clip is a group of its own.
        num_clips: at least 1.
        num_resamples: at least 1.
        seed: of the draws.

    Raises:
        ValueError: not a group a clip, or nothing to draw.
    """
    if num_resamples < 1:
        raise ValueError(f"found {num_resamples} resamples, expected 1 or more")
    group_of = number_groups(groups, num_clips)
    num_groups = int(group_of.max()) + 1
    generator = np.random.default_rng(seed)
    rows_at_once = max(1, WEIGHTS_AT_ONCE // num_clips)
    for start in range(0, num_resamples, rows_at_once):
        rows = min(rows_at_once, num_resamples - start)
        drawn = generator.integers(num_groups, size=(rows, num_groups))
        drawn += num_groups * np.arange(rows)[:, np.newaxis]  # one range of numbers a resample
        counts = np.bincount(drawn.ravel(), minlength=rows * num_groups)
        yield counts.reshape(rows, num_groups)[:, group_of]


def number_groups(groups: Sequence[str | None] | None, num_clips: int) -> Counts:
    """Return each clip's group (N,), numbered from 0 in order of appearance, whatever the names.

    Args:
        groups: a name a clip; None or empty: the clip is a group of its own.
        num_clips: at least 1.

    Raises:
        ValueError: not a group a clip, or no clip.
    """
    names = [None] * num_clips if groups is None else groups
    if len(names) != num_clips or not num_clips:
        raise ValueError(f"found {len(names)} groups of {num_clips} clips, expected one a clip")
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name or i, len(numbers)) for i, name in enumerate(names)])


def num_rated_groups(groups: Sequence[str | None] | None, true: Doubles) -> list[int]:
    """Return how many groups have a label of each target, and last of any: T + 1 numbers.

    Args:
        groups: see `number_groups`.
        true: labels (N, T), NaN where one is missing.

    Raises:
        ValueError: see `number_groups`.
    """
    group_of = number_groups(groups, len(true))
    rated = ~np.isnan(true)
    return [len(np.unique(group_of[has])) for has in (*rated.T, rated.any(axis=1))]


def resample_metrics(
    predicted: Doubles,
    true: Doubles,
    groups: Sequence[str | None] | None,
    num_resamples: int,
    seed: int,
) -> Doubles:
    """Return (4, num_resamples, T): `METRIC_NAMES` of each resample, NaN where undefined.

    Args:
        predicted: (N, T), finite.
        true: labels (N, T), finite; NaN where one is missing.
        groups: see `resampled_counts`.
        num_resamples: see `resampled_counts`.
        seed: see `resampled_counts`.

    Raises:
        ValueError: see `resampled_counts`.
    """
    parts = [
        (columns, rows, _Rated(predicted[np.ix_(rows, columns)], true[np.ix_(rows, columns)]))
        for columns, rows in _rated_alike(true)
    ]
    found = []
    for counts in resampled_counts(groups, len(true), num_resamples, seed):
        figures = np.full((len(METRIC_NAMES), len(counts), true.shape[1]), np.nan)
        for columns, rows, part in parts:
            figures[:, :, columns] = part.figures(counts[:, rows])
        found.append(figures)
    return np.concatenate(found, axis=1)


def _rated_alike(true: Doubles) -> Iterator[tuple[Counts, Counts]]:
    """Yield the targets whose labels are missing on the same clips, and the clips that have one."""
    patterns, pattern_of = np.unique(~np.isnan(true), axis=1, return_inverse=True)
    for number, rated in enumerate(patterns.T):
        if rated.any():
            yield np.flatnonzero(pattern_of.ravel() == number), np.flatnonzero(rated)


class _Rated:
    """Predictions and labels (n, t) without a gap, and their metrics in a resample."""

    def __init__(self, predicted: Doubles, true: Doubles) -> None:
        self._predicted, self._true = predicted, true
        self._features = _features(predicted, true)
        self._varied = (np.ptp(predicted, axis=0) > 0, np.ptp(true, axis=0) > 0)

    def figures(self, counts: Counts) -> Doubles:
        """Return (4, r, t) `METRIC_NAMES` from how often each clip stands in each resample."""
        weights = counts.astype(np.float64)
        totals = weights.sum(axis=1, keepdims=True)
        drawn = totals[:, 0] > 0  # a resample may hold none of these clips
        weights /= np.where(totals > 0, totals, 1.0)
        means = (weights @ self._features).reshape(len(counts), -1, self._true.shape[1])
        figures, vague = _figures(means.transpose(1, 0, 2), self._varied)
        for row, column in np.argwhere(vague & drawn[:, np.newaxis]):
            # few: computed from the repeated clips instead
            repeated = [
                np.repeat(values[:, column], counts[row])
                for values in (self._predicted, self._true)
            ]
            for place, metric in enumerate((pearson, ccc)):
                value = metric(*repeated)
                figures[place, row, column] = np.nan if value is None else value
        figures[:, ~drawn] = np.nan
        return figures


def _features(predicted: Doubles, true: Doubles) -> Doubles:
    """Return (N, 8 T), the values whose weighted means give every metric."""
    errors = predicted - true
    p, y = _centred(predicted), _centred(true)
    return np.hstack([p, y, p * p, y * y, p * y, errors, np.abs(errors), errors * errors])


def _centred(values: Doubles) -> Doubles:
    # a constant column becomes exactly 0, which subtracting a floating-point mean does not ensure
    constant = np.ptp(values, axis=0) == 0
    centred: Doubles = values - np.where(constant, values[0], values.mean(axis=0))
    return centred


def _figures(means: Doubles, varied: tuple[Flags, Flags]) -> tuple[Doubles, Flags]:
    """Return (4, r, T) `METRIC_NAMES` from means (8, r, T), and where correlations are vague.

    Args:
        means: of the `_features`.
        varied: (T,) whether predictions, and labels, vary at all; constant columns are exact.
    """
    p, y, pp, yy, py, error, absolute, squared = means
    variance, label_variance = pp - p * p, yy - y * y
    covariance = py - p * y
    vague = (variance <= VAGUE * pp) & varied[0] | (label_variance <= VAGUE * yy) & varied[1]
    figures = np.full((len(METRIC_NAMES), *vague.shape), np.nan)
    labels_vary = ~vague & varied[1]
    scale = np.sqrt(variance, where=~vague, out=np.ones_like(p))
    scale *= np.sqrt(label_variance, where=~vague, out=np.ones_like(p))
    np.divide(covariance, scale, out=figures[0], where=labels_vary & varied[0])
    np.clip(figures[0], -1.0, 1.0, out=figures[0])
    spread = variance + label_variance + error * error
    np.divide(2.0 * covariance, spread, out=figures[1], where=labels_vary)
    figures[2], figures[3] = absolute, np.sqrt(squared)
    return figures, vague
