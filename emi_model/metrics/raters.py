"""How well several raters of the same clips agree: intraclass correlations, Krippendorff's alpha.

A rater may be a person or a model version.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from emi_model.arrays import Doubles


@dataclass(frozen=True)
class IntraclassCorrelations:
    """Intraclass correlations (Shrout and Fleiss 1979, Psychological Bulletin 86(2), in brackets).

    Attributes:
        one_way: ICC(1,1): of one rating, where each clip has raters of its own.
        agreement: ICC(2,1): of one rating, where the same raters rated all clips, and the level of
            a rater counts; ICC(A,1) of McGraw and Wong 1996.
        consistency: ICC(3,1): the same, where a rater's own level does not count; ICC(C,1).
        one_way_mean: ICC(1,k): of the mean over the raters.
        agreement_mean: ICC(2,k): likewise; ICC(A,k).
        consistency_mean: ICC(3,k): likewise; ICC(C,k).
    """

    one_way: float | None
    agreement: float | None
    consistency: float | None
    one_way_mean: float | None
    agreement_mean: float | None
    consistency_mean: float | None


def intraclass_correlations(ratings: ArrayLike) -> IntraclassCorrelations:
    """Return the intraclass correlations of ratings (N, k) by k raters, in [-1, 1].

    From the mean squares of clips, of raters and of what is left (Shrout and Fleiss 1979). One is
    None where its denominator is 0: all ratings are alike.

    Raises:
        ValueError: fewer than two clips or raters, or a rating that is missing or infinite.
    """
    table = np.asarray(ratings, np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ValueError(
            f"found ratings {table.shape}, expected two clips and two raters at least, and no gap"
        )
    sums = squares_of(table - table.mean()).sum(axis=0, keepdims=True)
    found = correlations_of_sums(sums)
    return IntraclassCorrelations(
        **{name: None if np.isnan(value[0]) else float(value[0]) for name, value in found.items()}
    )


def squares_of(table: Doubles) -> Doubles:
    """Return what the correlations are made of, by clip, (N, 3 + k), to be summed over clips.

    One, the square of the clip's mean, the squares of the distances from it, and the ratings.

    Args:
        table: ratings (N, k) without a gap, less their mean.
    """
    means = table.mean(axis=1)
    apart = np.square(table - means[:, np.newaxis]).sum(axis=1)
    return np.column_stack([np.ones(len(table)), np.square(means), apart, table])


def correlations_of_sums(sums: Doubles, least: float = 0.0) -> dict[str, Doubles]:
    """Return the correlations (R,) by the names of `IntraclassCorrelations`, NaN where undefined.

    Args:
        sums: of `squares_of` over the clips, (R, 3 + k).
        least: a denominator that is no larger counts as 0.
    """
    n, squares, apart, ratings = sums[:, 0], sums[:, 1], sums[:, 2], sums[:, 3:]
    k = ratings.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = ratings / n[:, np.newaxis]
        grand = columns.mean(axis=1)
        level = n * np.square(columns - grand[:, np.newaxis]).sum(axis=1)
        between = k * (squares - n * np.square(grand)) / (n - 1)
        raters = level / (k - 1)
        within = apart / (n * (k - 1))
        left = (apart - level) / ((n - 1) * (k - 1))
        shares = {
            "one_way": (between - within, between + (k - 1) * within),
            "agreement": (between - left, between + (k - 1) * left + k * (raters - left) / n),
            "consistency": (between - left, between + (k - 1) * left),
            "one_way_mean": (between - within, between),
            "agreement_mean": (between - left, between + (raters - left) / n),
            "consistency_mean": (between - left, between),
        }
        return {
            name: np.where(np.abs(below) > least, above / below, np.nan)
            for name, (above, below) in shares.items()
        }


def krippendorff_alpha(ratings: ArrayLike) -> float | None:
    """Return Krippendorff's alpha of ratings (N, k), NaN where a rater did not rate, up to 1.

    ``1 - observed / expected`` disagreement with the squared difference of interval data
    (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"): 0 is what chance gives. Clips
    with one rating do not count. None if no two ratings differ, or none can be paired.

    Raises:
        ValueError: another number of dimensions, or a rating that is infinite.
    """
    table = np.asarray(ratings, np.float64)
    if table.ndim != 2 or np.isinf(table).any():
        raise ValueError(f"found ratings {table.shape}, expected (clips, raters), none infinite")
    number = (~np.isnan(table)).sum(axis=1)
    table, number = table[number >= 2], number[number >= 2]
    total = int(number.sum())
    if not total or np.nanmax(table) == np.nanmin(table):
        return None
    values = np.where(np.isnan(table), 0.0, table - np.nanmean(table))
    means = values.sum(axis=1) / number
    # squared differences of all ordered pairs of m values sum to 2 m times those from their mean
    apart = _squares(table, values, means[:, np.newaxis])
    observed = (2.0 * number * apart / (number - 1)).sum() / total
    expected = 2.0 * _squares(table, values, np.zeros((1, 1))).sum() / (total - 1)
    return float(1.0 - observed / expected)


def _squares(table: Doubles, values: Doubles, middle: Doubles) -> Doubles:
    """Return by clip the sum of squared distances of its ratings from a middle."""
    found: Doubles = np.where(np.isnan(table), 0.0, np.square(values - middle)).sum(axis=1)
    return found
