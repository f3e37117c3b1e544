"""How well predictions follow the labels: Pearson, concordance and errors per target.

The correlation with labels that are all alike is undefined: it is None, never 0 or NaN, and left
out of the mean. So it is in a report where a target's predictions are all alike; where models or
epochs are chosen that counts as 0 (`TargetMetrics.skill`). A label that is missing is NaN in a
table of labels: each target is measured on the clips that have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from emi_model.arrays import Doubles

UNDEFINED = "undefined"
"""How tables show a metric that is None: labels, or predictions, are all alike."""


@dataclass(frozen=True)
class TargetMetrics:
    """One target's figures over a set of clips.

    Attributes:
        pearson: see `pearson`; None where undefined.
        ccc: see `ccc`; None where undefined.
        mse: see `mse`; None if no clip has a label.
        mae: see `mae`; None if it was not measured.
        rmse: see `rmse`; None if it was not measured.
    """

    pearson: float | None
    ccc: float | None
    mse: float | None
    mae: float | None = None
    rmse: float | None = None

    @property
    def skill(self) -> float | None:
        """Pearson, or 0 where only the predictions are all alike; None where the labels are.

        The concordance distinguishes the two cases: it is undefined only where the labels are all
        alike. If a target of constant predictions were left out of a mean, a model would gain by
        learning nothing of its weakest target.
        """
        return 0.0 if self.pearson is None and self.ccc is not None else self.pearson


def pearson(predictions: ArrayLike, labels: ArrayLike) -> float | None:
    """Return Pearson's correlation of predictions (N,) and labels (N,), the challenge's metric.

    ``cov(p, y) / (std(p) std(y))``, in [-1, 1]. None if either of them is constant.

    Raises:
        ValueError: shapes that differ, no value, or one that is not finite.
    """
    predicted, true = pair(predictions, labels)
    if _is_constant(predicted) or _is_constant(true):
        return None
    predicted, true = _standardised(predicted), _standardised(true)
    return float(np.clip(np.mean(predicted * true), -1.0, 1.0))


def ccc(predictions: ArrayLike, labels: ArrayLike) -> float | None:
    """Return the concordance correlation coefficient of predictions (N,) and labels (N,).

    ``2 cov(p, y) / (var(p) + var(y) + (mean(p) - mean(y))^2)`` with population moments (Lin 1989,
    Biometrics 45(1)), in [-1, 1]. None if the labels are constant.

    Raises:
        ValueError: shapes that differ, no value, or one that is not finite.
    """
    predicted, true = pair(predictions, labels)
    if _is_constant(true):
        return None
    # scale the largest deviation to 1 first, as in Pearson: tiny ones would give 0 / 0
    predicted, true = predicted - true.mean(), true - true.mean()
    scale = max(np.abs(predicted).max(), np.abs(true).max())
    predicted, true = predicted / scale, true / scale
    covariance = np.mean((predicted - predicted.mean()) * (true - true.mean()))
    shift = np.square(predicted.mean() - true.mean())
    return float(2.0 * covariance / (predicted.var() + true.var() + shift))


def mse(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean squared error of predictions (N,) and labels (N,).

    ``mean((p - y)^2)``, in the labels' units squared.

    Raises:
        ValueError: shapes that differ, no value, or one that is not finite.
    """
    predicted, true = pair(predictions, labels)
    return float(np.mean(np.square(predicted - true)))


def mae(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean absolute error of predictions (N,) and labels (N,).

    ``mean(|p - y|)``, in the labels' units (Willmott and Matsuura 2005, Climate Research 30(1)).

    Raises:
        ValueError: shapes that differ, no value, or one that is not finite.
    """
    predicted, true = pair(predictions, labels)
    return float(np.mean(np.abs(predicted - true)))


def rmse(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Return the root of the mean squared error of predictions (N,) and labels (N,).

    ``sqrt(mean((p - y)^2))``, in the labels' units, never below `mae` (Willmott and Matsuura 2005).

    Raises:
        ValueError: shapes that differ, no value, or one that is not finite.
    """
    return float(np.sqrt(mse(predictions, labels)))


def evaluate(
    predictions: ArrayLike, labels: ArrayLike, targets: Sequence[str]
) -> dict[str, TargetMetrics]:
    """Return the figures of each target over N clips.

    Args:
        predictions: (N, T).
        labels: (N, T), NaN where one is missing.
        targets: T names, in the order of the columns.

    Raises:
        ValueError: shapes that differ or do not fit the targets, no clip, other values not finite.
    """
    predicted, true = pair_columns(predictions, labels)
    columns = zip(targets, predicted.T, true.T, strict=True)
    return {target: _figures_of(p, y) for target, p, y in columns}


def _figures_of(predicted: Doubles, true: Doubles) -> TargetMetrics:
    rated = ~np.isnan(true)
    if not rated.any():
        return TargetMetrics(None, None, None)
    p, y = predicted[rated], true[rated]
    return TargetMetrics(pearson(p, y), ccc(p, y), mse(p, y), mae(p, y), rmse(p, y))


def mean_pearson(metrics: Mapping[str, TargetMetrics]) -> float | None:
    """Return the mean of Pearson over the targets where it is defined; None if there is none."""
    return mean_defined(figures.pearson for figures in metrics.values())


def mean_skill(metrics: Mapping[str, TargetMetrics]) -> float | None:
    """Return the mean of `TargetMetrics.skill` over the targets; None if all labels are alike.

    It is what models and epochs are chosen by.
    """
    return mean_defined(figures.skill for figures in metrics.values())


def mean_defined(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if there is none."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def pair(predictions: ArrayLike, labels: ArrayLike) -> tuple[Doubles, Doubles]:
    """Return predictions and labels in float64, both of the same shape.

    Raises:
        ValueError: shapes that differ, no value, or one that is not finite.
    """
    predicted = np.asarray(predictions, dtype=np.float64)
    true = np.asarray(labels, dtype=np.float64)
    if predicted.shape != true.shape or predicted.size == 0:
        raise ValueError(
            f"found predictions {predicted.shape} and labels {true.shape}, expected one shape "
            "and a clip at least"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise ValueError("found predictions or labels that are not finite")
    return predicted, true


def pair_columns(predictions: ArrayLike, labels: ArrayLike) -> tuple[Doubles, Doubles]:
    """Return `pair` of predictions and labels (N, T); a label that is missing stays NaN.

    Raises:
        ValueError: as `pair`, or another number of dimensions.
    """
    true = np.asarray(labels, dtype=np.float64)
    missing = np.isnan(true)
    predicted, rated = pair(predictions, np.where(missing, 0.0, true))
    if predicted.ndim != 2:
        raise ValueError(f"found predictions {predicted.shape}, expected (clips, targets)")
    rated[missing] = np.nan
    return predicted, rated


def checked_level(level: float) -> float:
    """Return a level of confidence as a float; raises ValueError for one outside (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"found level {level}, expected a number between 0 and 1")
    return float(level)


def _is_constant(values: Doubles) -> bool:
    return bool(values.min() == values.max())


def _standardised(values: Doubles) -> Doubles:
    # scale the largest deviation to 1 first: tiny ones would vanish when squared
    centred = values - values.mean()
    centred /= np.abs(centred).max()
    standardised: Doubles = centred / np.sqrt(np.mean(np.square(centred)))
    return standardised
