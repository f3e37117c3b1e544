"""What each speaker has in each group: counts, means and spreads of some columns of clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emi_model.arrays import Doubles
from emi_model.metrics.resamples import Counts, Flags, number_groups


@dataclass(frozen=True, eq=False)
class Cells:
    """Clips summed up by speaker (K), group (C) and column (T).

    Attributes:
        columns: T names.
        groups: C names.
        counts: (K, C, T) clips that have a value.
        means: (K, C, T) of these values; 0 where there is none.
        variances: (K, C, T) of these values around their mean, divided by their number; 0 where
            there is none.
        is_loose: (K,) whether a row sums up clips without a speaker, each counted for itself.
    """

    columns: tuple[str, ...]
    groups: tuple[str, ...]
    counts: Doubles
    means: Doubles
    variances: Doubles
    is_loose: Flags

    @classmethod
    def of_clips(
        cls,
        columns: Sequence[str],
        values: ArrayLike,
        groups: Sequence[str | None],
        speakers: Sequence[str | None] | None = None,
    ) -> Cells:
        """Return the cells of N clips; groups in the order of their names.

        Args:
            columns: T names.
            values: (N, T), NaN where a clip has none.
            groups: N names; a clip of None is left out.
            speakers: N names; None or an empty name: the clip is a speaker of its own.

        Raises:
            ValueError: shapes that do not fit, no clip in any group, a value that is infinite.
        """
        table = np.asarray(values, np.float64).reshape(-1, len(columns))
        if len(table) != len(groups):
            raise ValueError(f"found {len(groups)} groups of {len(table)} clips, expected one each")
        if np.isinf(table).any():
            raise ValueError("found a value that is infinite")
        names = sorted({group for group in groups if group is not None})
        kept = np.array([group is not None for group in groups], bool)
        if not kept.any():
            raise ValueError("found no clip in any group, expected one at least")
        place = {name: number for number, name in enumerate(names)}
        group_of = np.array([place[group] for group in groups if group is not None])
        who = None
        if speakers is not None:
            who = [name for name, has in zip(speakers, kept, strict=True) if has]
        speaker_of = number_groups(who, int(kept.sum()))
        is_loose = np.ones(int(speaker_of.max()) + 1, bool)
        named = [bool(name) for name in who] if who is not None else []
        is_loose[speaker_of[np.array(named, bool)] if named else []] = False
        cell_of = speaker_of * len(names) + group_of
        shape = (len(is_loose), len(names), len(columns))
        return cls(
            tuple(columns), tuple(names), *_summed(table[kept], cell_of, shape), is_loose=is_loose
        )

    def with_values(self) -> Cells:
        """Return the cells of those columns of which any clip has a value."""
        kept = np.flatnonzero(self.totals.any(axis=0))
        columns = tuple(self.columns[place] for place in kept)
        arrays = (self.counts[..., kept], self.means[..., kept], self.variances[..., kept])
        return Cells(columns, self.groups, *arrays, self.is_loose)

    @property
    def totals(self) -> Doubles:
        """Clips that have a value, (C, T)."""
        total: Doubles = self.counts.sum(axis=0)
        return total

    @property
    def num_speakers(self) -> Counts:
        """Speakers of these clips, (C, T)."""
        return self.speakers_in(self.counts)

    def speakers_in(self, counts: Doubles) -> Counts:
        """Return how many speakers some counts (K, ...) of clips are of, (...)."""
        loose = self.is_loose.reshape(-1, *[1] * (counts.ndim - 1))
        found: Counts = np.where(loose, counts, counts > 0).sum(axis=0).astype(np.int64)
        return found

    @property
    def middle(self) -> Doubles:
        """Mean of all values of each column, (T,)."""
        number = self.counts.sum(axis=(0, 1))
        middle: Doubles = (self.counts * self.means).sum(axis=(0, 1)) / np.maximum(number, 1)
        return middle

    def squares(self, group: int, column: int) -> float:
        """Return the sum of squared distances of a group's values from their mean."""
        counts, means = self.counts[:, group, column], self.means[:, group, column]
        if not counts.sum():
            return 0.0
        apart = means - np.average(means, weights=counts)
        return float((counts * (self.variances[:, group, column] + apart * apart)).sum())


def _summed(
    table: Doubles, cell_of: NDArray[np.int64], shape: tuple[int, int, int]
) -> tuple[Doubles, Doubles, Doubles]:
    """Return counts, means and variances by cell, each of this shape."""
    size = shape[0] * shape[1]
    counts, means, variances = (np.zeros((size, shape[2])) for _ in range(3))
    for column, values in enumerate(table.T):
        has = ~np.isnan(values)
        cells, found = cell_of[has], values[has]
        counts[:, column] = number = np.bincount(cells, minlength=size)
        share = 1.0 / np.maximum(number, 1)
        means[:, column] = mean = np.bincount(cells, found, size) * share
        variances[:, column] = np.bincount(cells, np.square(found - mean[cells]), size) * share
    return counts.reshape(shape), means.reshape(shape), variances.reshape(shape)
