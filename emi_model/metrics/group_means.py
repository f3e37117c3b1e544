"""Means of groups of clips, and their differences, with intervals over speakers.

Clips of one speaker are alike, so a clip is no further evidence: whole speakers are drawn with
replacement (`emi_model.metrics.bootstrap`). Where each speaker is in one group only, each group's
speakers are drawn among themselves; where speakers are in several, all are drawn together, and a
speaker brings the clips of all groups.

Intervals and p-values: `emi_model.metrics.speaker_draws`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from emi_model.arrays import Doubles
from emi_model.metrics.agreement import checked_level
from emi_model.metrics.bootstrap import DECIMALS, Estimate
from emi_model.metrics.group_cells import Cells
from emi_model.metrics.speaker_draws import (
    FEWEST_SPEAKERS,
    Drawn,
    of_one_draw,
    of_two_draws,
    resampled_means,
)
from emi_model.metrics.systems import holm

GROUP_RESAMPLES = 4000


@dataclass(frozen=True)
class GroupMean:
    """The mean of a column in a group.

    Attributes:
        column: its name.
        group: its name.
        mean: over the clips; over the speakers' own means if compared within speakers.
        deviation: standard deviation of the clips (n - 1); None of fewer than two.
        num_clips: that have a value.
        num_speakers: of these clips, a clip without a speaker counted for itself.
    """

    column: str
    group: str
    mean: Estimate
    deviation: float | None
    num_clips: int
    num_speakers: int


@dataclass(frozen=True)
class GroupDifference:
    """How much higher a column is in one group than in another.

    Attributes:
        column: its name.
        group: the one group.
        other: the other one.
        difference: mean of the one less that of the other; within speakers the mean of the
            speakers' own differences.
        p: two-sided p-value; None where there is no interval.
        p_holm: corrected for the number of differences of the answer (Holm 1979).
        effect_size: Cohen's d: the difference by the standard deviation of the clips, pooled over
            both groups (Cohen 1988, "Statistical Power Analysis", section 2.2); None without one.
        num_clips: of both groups.
        num_speakers: of both groups; within speakers those who have clips in both.
    """

    column: str
    group: str
    other: str
    difference: Estimate
    p: float | None
    p_holm: float | None
    effect_size: float | None
    num_clips: int
    num_speakers: int


@dataclass(frozen=True)
class GroupComparison:
    """Means and differences of all columns and groups.

    Attributes:
        means: column by column, group by group.
        differences: column by column, each two groups.
        is_within: whether speakers were compared with themselves.
        level: share of resamples that an interval stands for.
        num_resamples: draws that the intervals are made of.
    """

    means: tuple[GroupMean, ...]
    differences: tuple[GroupDifference, ...]
    is_within: bool
    level: float
    num_resamples: int


def compare_groups(
    cells: Cells,
    *,
    is_within: bool = False,
    num_resamples: int = GROUP_RESAMPLES,
    level: float = 0.95,
    seed: int = 1,
) -> GroupComparison:
    """Return means of groups and their differences, with intervals over speakers.

    Args:
        cells: what each speaker has in each group; `Cells.of_clips` makes them of clips.
        is_within: compare each speaker with themselves: a group's mean is that of its speakers'
            means, a difference is that of the speakers with clips in both groups.
        num_resamples: draws of as many speakers as there are.
        level: of the two-sided intervals, in (0, 1).
        seed: of the draws.

    Raises:
        ValueError: a level or a number of resamples out of range.
    """
    checked_level(level)
    weights = (cells.counts > 0).astype(np.float64) if is_within else cells.counts
    is_apart = not is_within and bool((cells.counts.any(axis=2).sum(axis=1) <= 1).all())
    strata = cells.counts.any(axis=2).argmax(axis=1) if is_apart else np.zeros(len(weights), int)
    resampled = resampled_means(weights, cells.means, strata, num_resamples, seed)
    num_columns, num_groups = len(cells.columns), len(cells.groups)
    pairs = list(combinations(range(num_groups), 2))
    differences = [
        _paired(cells, column, pair, level, (num_resamples, seed))
        if is_within
        else _unpaired(cells, column, pair, resampled[..., column], level, is_apart=is_apart)
        for column in range(num_columns)
        for pair in pairs
    ]
    corrected = holm([difference.p for difference in differences])
    return GroupComparison(
        means=tuple(
            _group_mean(cells, column, group, weights, resampled, level)
            for column in range(num_columns)
            for group in range(num_groups)
        ),
        differences=tuple(
            replace(difference, p_holm=p)
            for difference, p in zip(differences, corrected, strict=True)
        ),
        is_within=is_within,
        level=level,
        num_resamples=num_resamples,
    )


def _group_mean(
    cells: Cells, column: int, group: int, weights: Doubles, resampled: Doubles, level: float
) -> GroupMean:
    num_clips = int(cells.totals[group, column])
    num_speakers = int(cells.num_speakers[group, column])
    mean = None
    if num_clips:
        mean = float(np.average(cells.means[:, group, column], weights=weights[:, group, column]))
    drawn = of_one_draw(resampled[:, group, column], num_speakers)
    return GroupMean(
        column=cells.columns[column],
        group=cells.groups[group],
        mean=Estimate(mean, *((None, None) if drawn is None else drawn.interval(level))),
        deviation=_deviation(cells, column, (group,)),
        num_clips=num_clips,
        num_speakers=num_speakers,
    )


def _unpaired(
    cells: Cells,
    column: int,
    pair: tuple[int, int],
    resampled: Doubles,
    level: float,
    *,
    is_apart: bool,
) -> GroupDifference:
    """Return the difference of two groups' means over clips."""
    numbers = [int(cells.num_speakers[group, column]) for group in pair]
    means = resampled[:, pair]
    if is_apart:
        num_speakers = sum(numbers)
        drawn = of_two_draws(means, (numbers[0], numbers[1]))
    else:
        in_either = cells.counts[:, pair, column].sum(axis=1)
        num_speakers = int(cells.speakers_in(in_either))
        enough = min(numbers) >= FEWEST_SPEAKERS
        drawn = of_one_draw(means[:, 0] - means[:, 1], num_speakers) if enough else None
    values = [
        float(np.average(cells.means[:, group, column], weights=cells.counts[:, group, column]))
        for group in pair
        if cells.totals[group, column]
    ]
    apart = values[0] - values[1] if len(values) == 2 else None
    return _difference_of(cells, column, pair, apart, drawn, level, num_speakers)


def _paired(
    cells: Cells, column: int, pair: tuple[int, int], level: float, draws: tuple[int, int]
) -> GroupDifference:
    """Return the mean of the differences of speakers with clips in both groups."""
    one, other = pair
    both = (cells.counts[:, pair, column] > 0).all(axis=1)
    apart = (cells.means[:, one, column] - cells.means[:, other, column])[both]
    drawn = None
    if len(apart) >= FEWEST_SPEAKERS:
        weights, stratum = np.ones(len(apart)), np.zeros(len(apart), int)
        drawn = of_one_draw(resampled_means(weights, apart, stratum, *draws), len(apart))
    mean = float(apart.mean()) if len(apart) else None
    return _difference_of(cells, column, pair, mean, drawn, level, len(apart))


def _difference_of(
    cells: Cells,
    column: int,
    pair: tuple[int, int],
    apart: float | None,
    drawn: Drawn | None,
    level: float,
    num_speakers: int,
) -> GroupDifference:
    if drawn is not None:
        drawn = replace(drawn, values=np.round(drawn.values, DECIMALS))
    low, high = (None, None) if drawn is None else drawn.interval(level)
    deviation = _deviation(cells, column, pair)
    return GroupDifference(
        column=cells.columns[column],
        group=cells.groups[pair[0]],
        other=cells.groups[pair[1]],
        difference=Estimate(None if apart is None else round(apart, DECIMALS), low, high),
        p=None if drawn is None or low is None else drawn.p(),
        p_holm=None,
        effect_size=None if apart is None or not deviation else apart / deviation,
        num_clips=int(cells.totals[pair, column].sum()),
        num_speakers=num_speakers,
    )


def _deviation(cells: Cells, column: int, groups: Sequence[int]) -> float | None:
    """Return the standard deviation of clips within groups, pooled over them."""
    squares = sum(cells.squares(group, column) for group in groups)
    freedom = sum(cells.totals[group, column] for group in groups) - len(groups)
    return math.sqrt(squares / freedom) if freedom > 0 else None
