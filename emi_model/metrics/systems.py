"""Several systems on the same clips: figures over their trainings, differences, and what is chance.

A system is trained several times, each time with another seed. Its figure is the mean over these
trainings. A resample draws groups of clips (speakers) with replacement, the same ones for every
system, and of each system's trainings as many as there are (Bouthillier et al. 2021, "Accounting
for Variance in Machine Learning Benchmarks", arXiv 2103.03098): both the clips and the seeds could
have been others.

A training that gives every clip the same score has learnt nothing: its correlation counts as 0
where the labels vary, for every system alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from emi_model.arrays import Doubles
from emi_model.metrics.agreement import checked_level, evaluate, mean_defined, pair_columns
from emi_model.metrics.bootstrap import DECIMALS, Estimate, quantiles_of, row_means, skill_of
from emi_model.metrics.resamples import METRIC_NAMES, num_rated_groups, resample_metrics
from emi_model.metrics.speaker_draws import of_one_draw

CHANCE = "chance"
"""Name of a reference that is no system: what gives every clip the same score, correlation 0."""

SYSTEM_RESAMPLES = 4000


@dataclass(frozen=True)
class SystemFigures:
    """A system's figures of one target, or their means over the targets.

    Attributes:
        pearson: mean over the trainings, 0 where one gives every clip the same score.
        ccc: likewise.
        mae: likewise.
        rmse: likewise.
        pearson_sd: standard deviation of ``pearson`` over the trainings (n - 1); None below two.
        difference: ``pearson`` less that of the reference; None for the reference itself.
        p: two-sided p-value of the difference, as `emi_model.metrics.speaker_draws` has it; None
            where there is no interval, or with labels of too few speakers.
    """

    pearson: Estimate
    ccc: Estimate
    mae: Estimate
    rmse: Estimate
    pearson_sd: float | None = None
    difference: Estimate | None = None
    p: float | None = None


@dataclass(frozen=True)
class _Sampled:
    """A system's Pearson on the clips as they are (T + 1,), and resampled (R, T + 1)."""

    values: list[float | None]
    samples: Doubles


def compare_systems(
    predictions: Mapping[str, ArrayLike],
    labels: ArrayLike,
    targets: Sequence[str],
    *,
    reference: str | None = None,
    groups: Sequence[str | None] | None = None,
    num_resamples: int = SYSTEM_RESAMPLES,
    level: float = 0.95,
    seed: int = 1,
) -> dict[str, list[SystemFigures]]:
    """Return, by system, its figures of each target and last their means over the targets.

    Args:
        predictions: of each system, (S, N, T): S trainings, N clips, T targets.
        labels: (N, T), NaN where one is missing.
        targets: T names.
        reference: the system that the others are compared with, or `CHANCE`; None: no differences.
        groups: N speakers; None or an empty name: the clip is a group of its own.
        num_resamples: draws of as many groups as there are.
        level: share of resamples inside an interval, in (0, 1); as many lie below it as above.
        seed: of the draws.

    Raises:
        ValueError: shapes that differ or do not fit, no clip, values not finite, a level or a
            number of resamples out of range.
        KeyError: the reference is no system.
    """
    shares = ((1 - checked_level(level)) / 2, (1 + level) / 2)
    true = np.asarray(labels, np.float64)
    num_groups = num_rated_groups(groups, true)
    rng = np.random.default_rng([seed, 1])  # of the trainings; the groups are drawn by the seed
    figures: dict[str, list[SystemFigures]] = {}
    sampled: dict[str, _Sampled] = {}
    for name, given in predictions.items():
        trainings = np.asarray(given, np.float64)
        measured = np.stack([_measured(each, true, targets) for each in trainings])
        samples = _resampled(trainings, true, groups, num_resamples, seed, rng)
        figures[name] = [
            _figures_of(measured[..., column], samples[..., column], shares, num_groups[column])
            for column in range(len(targets) + 1)
        ]
        sampled[name] = _Sampled([found.pearson.value for found in figures[name]], samples[0])
    if reference is None:
        return figures
    other = sampled[reference] if reference != CHANCE else None
    return {
        name: found
        if name == reference
        else [
            _compared(found[column], sampled[name], other, column, shares, num_groups[column])
            for column in range(len(targets) + 1)
        ]
        for name, found in figures.items()
    }


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for their number (Holm 1979, Scandinavian J. of Statistics 6(2)).

    The smallest of m is multiplied by m, the next by m - 1, and so on; none may be below one
    before it, or above 1. Those that are None are no test and stay None.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, p * (len(tested) - rank)))
        corrected[place] = highest
    return corrected


def _measured(predicted: Doubles, true: Doubles, targets: Sequence[str]) -> Doubles:
    """Return (4, T + 1) `METRIC_NAMES` of one training, NaN where undefined."""
    columns = [
        [found.skill, found.ccc, found.mae, found.rmse]
        for found in evaluate(*pair_columns(predicted, true), targets).values()
    ]
    means = [mean_defined(row) for row in zip(*columns, strict=True)]
    return np.array([*columns, means], np.float64).T


def _figures_of(
    measured: Doubles, samples: Doubles, shares: tuple[float, float], num_groups: int
) -> SystemFigures:
    """Return the figures of one column from `METRIC_NAMES` of each training (S, 4) and (4, R)."""
    pearson, ccc, mae, rmse = (
        Estimate(_mean(values), *quantiles_of(drawn, shares, num_groups))
        for values, drawn in zip(measured.T, samples, strict=True)
    )
    return SystemFigures(pearson, ccc, mae, rmse, pearson_sd=_deviation(measured[:, 0]))


def _resampled(
    trainings: Doubles,
    true: Doubles,
    groups: Sequence[str | None] | None,
    num_resamples: int,
    seed: int,
    rng: np.random.Generator,
) -> Doubles:
    """Return (4, R, T + 1): means over drawn trainings of what resampled clips give."""
    count, _, num_targets = trainings.shape
    side_by_side = np.concatenate([*trainings], axis=1)
    found = resample_metrics(side_by_side, np.tile(true, (1, count)), groups, num_resamples, seed)
    found[0] = skill_of(found)
    found = found.reshape(len(METRIC_NAMES), num_resamples, count, num_targets)
    found = np.concatenate([found, row_means(found)[..., np.newaxis]], axis=-1)
    drawn = rng.integers(count, size=(num_resamples, count))
    rows = np.arange(num_resamples)[:, np.newaxis]
    means: Doubles = found[:, rows, drawn].mean(axis=2)  # labels decide what is NaN: all or none is
    return means


def _compared(
    own: SystemFigures,
    sampled: _Sampled,
    reference: _Sampled | None,
    column: int,
    shares: tuple[float, float],
    num_groups: int,
) -> SystemFigures:
    value, samples = sampled.values[column], sampled.samples[:, column]
    other: float | None = 0.0
    others = np.zeros(len(samples))
    if reference is not None:
        other, others = reference.values[column], reference.samples[:, column]
    apart = None if value is None or other is None else round(value - other, DECIMALS)
    differences = np.round(samples - others, DECIMALS)
    low, high = quantiles_of(differences, shares, num_groups)
    # the share of draws beyond 0 alone would call chance sure: of two speakers every second time
    drawn = of_one_draw(differences, num_groups)
    return replace(
        own,
        difference=Estimate(apart, low, high),
        p=None if low is None or drawn is None else drawn.p(),
    )


def _mean(values: Doubles) -> float | None:
    found = float(values.mean())
    return None if np.isnan(found) else found


def _deviation(values: Doubles) -> float | None:
    if len(values) < 2 or np.isnan(values).any():
        return None
    return float(values.std(ddof=1))
