"""How well raters of the same clips agree, and how surely: intervals over speakers.

Clips of one speaker are alike, so whole speakers are drawn with replacement
(`emi_model.metrics.bootstrap`), and the ratings of all their clips with them; the raters stay who
they are. Intervals: `emi_model.metrics.speaker_draws`. Each figure is a function of sums over
clips, so a matrix product computes all draws at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emi_model.arrays import Doubles
from emi_model.metrics.agreement import checked_level
from emi_model.metrics.bootstrap import Estimate
from emi_model.metrics.group_means import GROUP_RESAMPLES
from emi_model.metrics.raters import (
    correlations_of_sums,
    intraclass_correlations,
    krippendorff_alpha,
    squares_of,
)
from emi_model.metrics.resamples import Counts, number_groups
from emi_model.metrics.speaker_draws import of_one_draw, resampled_sums

ICC_NAMES = ("agreement", "consistency", "agreement_mean", "one_way")
"""Which of `emi_model.metrics.raters.IntraclassCorrelations` are given with intervals."""

_ALIKE = 1e-12
"""Below this share of the spread of all ratings, those that were drawn are all alike."""


@dataclass(frozen=True)
class RaterAgreement:
    """The agreement on one score.

    Attributes:
        alpha: Krippendorff's, of the clips with two ratings at least.
        correlations: `ICC_NAMES`, of the clips that all raters rated.
        num_clips: with two ratings at least.
        num_complete: that all raters rated.
        num_speakers: of the clips with two ratings at least, one without a speaker counted for
            itself.
    """

    alpha: Estimate
    correlations: dict[str, Estimate]
    num_clips: int
    num_complete: int
    num_speakers: int


def rater_agreement(
    tables: Sequence[Doubles],
    speakers: Sequence[str | None] | None = None,
    *,
    num_resamples: int = GROUP_RESAMPLES,
    level: float = 0.95,
    seed: int = 1,
) -> list[RaterAgreement]:
    """Return how well raters agree on each of some scores, with intervals from the same draws.

    Args:
        tables: of each score the ratings (N, k), NaN where a rater did not rate; the same clips.
        speakers: N names; None or an empty one: the clip is a speaker of its own.
        num_resamples: draws of as many speakers as there are.
        level: of the two-sided intervals, in (0, 1).
        seed: of the draws.

    Raises:
        ValueError: shapes that differ, a rating that is infinite, a level out of range.
    """
    checked_level(level)
    if not tables or not len(tables[0]):
        return [_undefined() for _ in tables]
    speaker_of = number_groups(speakers, len(tables[0]))
    features = [part for table in tables for part in (_of_pairs(table), _of_complete(table))]
    cuts = np.cumsum([part.shape[1] for part in features])[:-1]
    sums = _by_speaker(np.hstack(features), speaker_of)
    drawn = np.split(resampled_sums(sums, num_resamples, seed), cuts, axis=1)
    whose = np.split(sums, cuts, axis=1)
    return [
        _agreement(
            table,
            (drawn[2 * place], drawn[2 * place + 1]),
            (_speakers_in(whose[2 * place]), _speakers_in(whose[2 * place + 1])),
            level,
        )
        for place, table in enumerate(tables)
    ]


def _by_speaker(features: Doubles, speaker_of: Counts) -> Doubles:
    """Return the sums of features (N, F) over the clips of each speaker, (K, F)."""
    number = int(speaker_of.max()) + 1
    sums = [np.bincount(speaker_of, weights=column, minlength=number) for column in features.T]
    return np.stack(sums, axis=1).astype(np.float64)


def _agreement(
    table: Doubles, drawn: tuple[Doubles, Doubles], speakers: tuple[int, int], level: float
) -> RaterAgreement:
    number = (~np.isnan(table)).sum(axis=1)
    complete = table[number == table.shape[1]]
    can_correlate = len(complete) >= 2 and table.shape[1] >= 2
    correlations = {name: Estimate(None) for name in ICC_NAMES}
    if can_correlate:
        found = intraclass_correlations(complete)
        least = _ALIKE * float(complete.var())
        draws = correlations_of_sums(drawn[1], least)
        correlations = {
            name: _estimate(getattr(found, name), draws[name], speakers[1], level)
            for name in ICC_NAMES
        }
    alpha = _alphas(drawn[0], _ALIKE * float(np.nanvar(table)) if number.any() else 0.0)
    return RaterAgreement(
        alpha=_estimate(krippendorff_alpha(table), alpha, speakers[0], level),
        correlations=correlations,
        num_clips=int((number >= 2).sum()),
        num_complete=len(complete),
        num_speakers=speakers[0],
    )


def _estimate(value: float | None, draws: Doubles, num_speakers: int, level: float) -> Estimate:
    drawn = of_one_draw(draws, num_speakers)
    if value is None or drawn is None:
        return Estimate(value)
    return Estimate(value, *drawn.interval(level))


def _of_pairs(table: Doubles) -> Doubles:
    """Return (N, 4), the sums that alpha is made of: ratings, values, their squares, disagreement.

    Of a clip with fewer than two ratings all are 0.
    """
    has = ~np.isnan(table)
    has &= has.sum(axis=1, keepdims=True) >= 2
    number = has.sum(axis=1)
    middle = table[has].mean() if has.any() else 0.0
    values = np.where(has, table - middle, 0.0)
    first, second = values.sum(axis=1), np.square(values).sum(axis=1)
    means = first / np.maximum(number, 1)
    apart = np.where(has, np.square(values - means[:, np.newaxis]), 0.0).sum(axis=1)
    apart *= number / np.maximum(number - 1, 1)
    found: Doubles = np.stack([number, first, second, apart], axis=1).astype(np.float64)
    return found


def _alphas(sums: Doubles, least: float) -> Doubles:
    """Return alpha (R,) of sums (R, 4) of `_of_pairs`; NaN where no two ratings differ."""
    total, first, second, apart = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = (second - np.square(first) / total) / (total - 1)
        alphas: Doubles = 1.0 - apart / total / expected
    alphas[~((total >= 2) & (expected > least))] = np.nan
    return alphas


def _of_complete(table: Doubles) -> Doubles:
    """Return `squares_of` of a table; 0 of a clip that a rater did not rate."""
    complete = ~np.isnan(table).any(axis=1)
    found = np.zeros((len(table), 3 + table.shape[1]))
    rows = table[complete]
    if rows.size:
        found[complete] = squares_of(rows - rows.mean())
    return found


def _speakers_in(sums: Doubles) -> int:
    """Return how many speakers have a clip that counts: their first sum is a number of clips."""
    return int((sums[:, 0] > 0).sum())


def _undefined() -> RaterAgreement:
    none = {name: Estimate(None) for name in ICC_NAMES}
    return RaterAgreement(Estimate(None), none, 0, 0, 0)
