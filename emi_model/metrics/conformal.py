"""Prediction intervals around scores, by split-conformal regression.

The score of a calibration clip is its absolute residual; the interval of a new clip is its
prediction plus or minus a high rank of those residuals (Papadopoulos et al. 2002, "Inductive
Confidence Machines for Regression", ECML; Lei et al. 2018, "Distribution-Free Predictive Inference
for Regression", JASA 113(523), arXiv 1604.04173).

The guarantee: if calibration clips and a new clip are exchangeable, the interval of a target
holds the new clip's label with a chance of at least ``level``, on average over calibration sets,
whatever the model. It does not hold

* for another corpus, camera or rating procedure, nor for new speakers: clips of one speaker are
  alike, so ``num_clips`` clips of few speakers are less evidence than the rank assumes;
* for clips that the weights were fitted to, or the epoch chosen by: their residuals are too small;
* for one kind of clip (one speaker, the strong expressions), nor for all targets at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emi_model.arrays import Doubles
from emi_model.errors import CheckpointError
from emi_model.metrics.agreement import checked_level, pair_columns

UNKNOWN_SPLIT = "unknown"


@dataclass(frozen=True)
class Intervals:
    """Half-widths of the intervals of a model's scores.

    Attributes:
        level: share of labels that the intervals should contain, in (0, 1).
        half_widths: of each target, in the order of the model's outputs, in the labels' units;
            None if there were too few clips for the level.
        num_clips: clips they were calibrated on.
        split_sha256: hash of the split those clips belong to, hex.
    """

    level: float
    half_widths: Mapping[str, float | None]
    num_clips: int
    split_sha256: str = UNKNOWN_SPLIT

    @property
    def targets(self) -> tuple[str, ...]:
        """All targets, with and without a width, in the order of the model's outputs."""
        return tuple(self.half_widths)

    def bounds(self, scores: Sequence[float]) -> dict[str, tuple[float, float]]:
        """Return the low and the high end of one clip's intervals, for the targets with a width.

        Scores are clipped to [0, 1] before, and intervals after: labels are in [0, 1], so neither
        takes a label out of an interval.

        Args:
            scores: (T,) of one clip, in the order of `targets`.

        Raises:
            ValueError: not a score a target.
        """
        columns = zip(self.half_widths.items(), scores, strict=True)
        return {
            target: _interval(min(max(float(score), 0.0), 1.0), width)
            for (target, width), score in columns
            if width is not None
        }

    def coverage(self, predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
        """Return the share of labels inside their intervals, for the targets with a width.

        Measured on other clips than those of the calibration, it should be `level` or above.

        Args:
            predictions: (N, T), in the order of `targets`.
            labels: (N, T) in [0, 1], NaN where one is missing.

        Raises:
            ValueError: shapes that differ or do not fit, no clip, values not finite or labels
                beyond [0, 1].
        """
        residuals = _residuals(predictions, labels)
        columns = zip(self.half_widths.items(), residuals.T, strict=True)
        return {
            target: float(np.mean(column[~np.isnan(column)] <= width))
            for (target, width), column in columns
            if width is not None and not np.isnan(column).all()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the content of intervals.json."""
        return {
            "level": self.level,
            "half_widths": dict(self.half_widths),
            "num_clips": self.num_clips,
            "split_sha256": self.split_sha256,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Intervals:
        """Read what `to_dict` wrote.

        Raises:
            CheckpointError: something is missing, of another type or out of its range.
        """
        try:
            read = cls(
                level=checked_level(content["level"]),
                half_widths={t: _checked_width(w) for t, w in content["half_widths"].items()},
                num_clips=int(content["num_clips"]),
                split_sha256=str(content["split_sha256"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"found no prediction intervals ({error!r}), expected a level, half_widths, "
                "num_clips and split_sha256: calibrate again"
            ) from error
        return read


def calibrate(
    predictions: ArrayLike,
    labels: ArrayLike,
    targets: Sequence[str],
    *,
    level: float = 0.9,
    split_sha256: str = UNKNOWN_SPLIT,
) -> Intervals:
    """Return intervals made from clips that the model was not fitted to.

    A target's half-width is the ``ceil((N + 1) level)``-th smallest of the N residuals |y - p|;
    None where N is smaller than that rank. N counts the clips that have a label of the target.

    Args:
        predictions: (N, T); clipped to [0, 1] first.
        labels: (N, T) in [0, 1], NaN where one is missing.
        targets: T names, in the order of the columns.
        level: share of labels to contain, in (0, 1).
        split_sha256: hash of the split the clips belong to.

    Raises:
        ValueError: a level out of its range, shapes that differ or do not fit the targets, no
            clip, values not finite or labels beyond [0, 1].
    """
    checked_level(level)
    residuals = _residuals(predictions, labels)
    half_widths = {
        target: _half_width(column[~np.isnan(column)], level)
        for target, column in zip(targets, residuals.T, strict=True)
    }
    return Intervals(level, half_widths, len(residuals), split_sha256)


def _half_width(residuals: Doubles, level: float) -> float | None:
    rank = rank_of(len(residuals), level)
    return float(np.sort(residuals)[rank - 1]) if rank <= len(residuals) else None


def rank_of(num_clips: int, level: float) -> int:
    """Return ``ceil((num_clips + 1) level)``, the rank of the residual that is the half-width.

    The level is taken as the decimal that it is written as: 100 x 0.55 is 55, not the binary
    55.000000000000007, whose ceiling is 56.
    """
    return math.ceil((num_clips + 1) * Fraction(str(float(level))))


def _interval(score: float, half_width: float) -> tuple[float, float]:
    return max(score - half_width, 0.0), min(score + half_width, 1.0)


def _residuals(predictions: ArrayLike, labels: ArrayLike) -> Doubles:
    """Return |y - p| (N, T) of predictions clipped to [0, 1]; NaN where a label is missing."""
    predicted, true = pair_columns(predictions, labels)
    lowest, highest = np.nanmin(true, initial=0.0), np.nanmax(true, initial=1.0)
    if lowest < 0.0 or highest > 1.0:
        raise ValueError(f"found labels from {lowest} to {highest}, expected [0, 1]")
    residuals: Doubles = np.abs(true - predicted.clip(0.0, 1.0))
    return residuals


def _checked_width(width: float | None) -> float | None:
    if width is None:
        return None
    if not 0.0 <= width <= 1.0:
        raise ValueError(f"found a half-width of {width}, expected 0 to 1 or null")
    return float(width)
