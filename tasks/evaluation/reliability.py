"""Reliability: the mean label of clips to which a model gives similar scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from emi_model.arrays import Doubles
from emi_model.metrics.agreement import pair
from emi_model.metrics.resamples import number_groups, resampled_counts

NUM_BINS = 10
MIN_CLIPS = 5
"""A bin of fewer clips joins its neighbour: their mean is too uncertain."""

NUM_RESAMPLES = 500


@dataclass(frozen=True)
class Bin:
    """Clips with neighbouring predictions.

    Attributes:
        predicted: mean prediction.
        label: mean label.
        low: lower end of the interval around the mean label; None with clips of one group alone.
        high: upper end; None where ``low`` is.
        num_clips: clips in it.
    """

    predicted: float
    label: float
    low: float | None
    high: float | None
    num_clips: int


def reliability(
    predictions: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str | None] | None = None,
    *,
    level: float = 0.95,
    seed: int = 1,
) -> list[Bin]:
    """Return bins of a tenth of [0, 1] each, ordered by prediction, sparse ones joined.

    A reliable model's mean label equals its prediction in every bin (DeGroot and Fienberg 1983,
    The Statistician 32). Intervals are bootstrap percentiles over groups, as in
    `emi_model.metrics.bootstrap`.

    Args:
        predictions: (N,) in [0, 1].
        labels: (N,).
        groups: N speakers; None or an empty name: the clip is a group of its own.
        level: share of resamples inside an interval, in (0, 1).
        seed: of the draws.

    Raises:
        ValueError: shapes that differ, no clip, or values that are not finite.
    """
    predicted, true = pair(predictions, labels)
    members = _members(predicted)
    sizes = members.sum(axis=0)
    bounds = _bounds(true, members, groups, level, seed)
    return [
        Bin(
            predicted=float(predicted @ members[:, number] / sizes[number]),
            label=float(true @ members[:, number] / sizes[number]),
            low=low,
            high=high,
            num_clips=int(sizes[number]),
        )
        for number, (low, high) in enumerate(bounds)
    ]


def _members(predicted: Doubles) -> Doubles:
    """Return (N, bins), 1 where a clip is in a bin; no bin is empty."""
    tenth = np.floor(predicted * NUM_BINS).clip(0, NUM_BINS - 1).astype(int)
    number_of, number, waiting = [], 0, 0
    for size in np.bincount(tenth, minlength=NUM_BINS):
        number_of.append(number)
        waiting += size
        if waiting >= MIN_CLIPS:
            number, waiting = number + 1, 0
    # what is left over joins the last bin that is full
    of_clip = np.minimum(number_of, max(number - 1, 0))[tenth]
    members: Doubles = np.eye(of_clip.max() + 1)[of_clip]
    return members


def _bounds(
    true: Doubles,
    members: Doubles,
    groups: Sequence[str | None] | None,
    level: float,
    seed: int,
) -> list[tuple[float, float] | tuple[None, None]]:
    means = []
    for counts in resampled_counts(groups, len(true), NUM_RESAMPLES, seed):
        sums, sizes = counts @ (members * true[:, np.newaxis]), counts @ members
        means.append(np.divide(sums, sizes, where=sizes > 0, out=np.full(sums.shape, np.nan)))
    shares = ((1 - level) / 2, (1 + level) / 2)
    group_of = number_groups(groups, len(true))
    found: list[tuple[float, float] | tuple[None, None]] = []
    for sample, inside in zip(np.concatenate(means).T, members.T, strict=True):
        if len(np.unique(group_of[inside > 0])) < 2:
            found.append((None, None))
            continue
        low, high = np.quantile(sample[~np.isnan(sample)], shares)
        found.append((float(low), float(high)))
    return found
