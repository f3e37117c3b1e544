"""Training losses: predictions (B, T) and labels (B, T) in, one number to minimise out.

Weights (B,) or (B, 1), more than 0, say how much each clip counts, such as the number of its
raters; without them all clips count the same.

The correlation losses compare clips of one batch with each other. A target whose labels are all
alike in a batch is left out of its loss; if all targets are, the loss is 0. A label that is missing
is NaN: the prediction beside it counts in no loss and has no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Loss(Protocol):
    """A function from predictions and labels (B, T), and weights (B,), to a scalar."""

    def __call__(
        self, predictions: Tensor, labels: Tensor, weights: Tensor | None = None, /
    ) -> Tensor:
        """Return the loss."""


BINOMIAL = "binomial"

EPSILON = 1e-8
"""Added to variances that divide: a batch may hold predictions that are all alike."""


def mse_loss(predictions: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean squared error over clips and targets, the paper's loss.

    ``mean((p - y)^2)`` (Hallmen et al., arXiv 2403.11879).
    """
    return _mean_over_labels(torch.nn.functional.mse_loss, predictions, labels, weights)


def binomial_loss(predictions: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the binomial deviance: for labels that are shares k/N of N raters.

    The negative log-likelihood of k of N raters, ``-N (y log p + (1 - y) log(1 - p))`` with
    ``y = k / N``, less its minimum, which is at ``p = y``; the sum over all labels, divided by the
    sum of N. N are the weights; without them every clip has as many raters.

    Raises:
        RuntimeError: a prediction outside [0, 1]: the model's output has to be a sigmoid.
    """
    return _mean_over_labels(_deviance, predictions, labels, weights)


def ccc_loss(predictions: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return 1 - CCC, the mean over targets, in [0, 2].

    ``CCC = 2 cov(p, y) / (var(p) + var(y) + (mean(p) - mean(y))^2)`` with population moments
    (Lin 1989, Biometrics 45(1)), over the clips of the batch.
    """
    moments = _moments(predictions, labels, weights)
    spread = moments.variance + moments.label_variance + moments.shift.square()
    return _mean_where_varied(1 - 2 * moments.covariance / (spread + EPSILON), labels)


def mse_ccc_loss(predictions: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the sum of `mse_loss` and `ccc_loss` (an option of the authors' code)."""
    return mse_loss(predictions, labels, weights) + ccc_loss(predictions, labels, weights)


def pearson_loss(predictions: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return 1 - Pearson's correlation, the mean over targets, in [0, 2].

    ``1 - cov(p, y) / (std(p) std(y))`` over the clips of the batch (an option of the authors'
    code). It fixes neither the scale nor the level of the predictions.
    """
    moments = _moments(predictions, labels, weights)
    scale = ((moments.variance + EPSILON) * (moments.label_variance + EPSILON)).sqrt()
    return _mean_where_varied(1 - moments.covariance / scale, labels)


def mse_pearson_loss(predictions: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the sum of `mse_loss` and `pearson_loss`: the metric itself, on the labels' scale."""
    return mse_loss(predictions, labels, weights) + pearson_loss(predictions, labels, weights)


LOSSES: MappingProxyType[str, Loss] = MappingProxyType(
    {
        "mse": mse_loss,
        "ccc": ccc_loss,
        "mse+ccc": mse_ccc_loss,
        "pearson": pearson_loss,
        "mse+pearson": mse_pearson_loss,
        BINOMIAL: binomial_loss,
    }
)
"""Losses by the names that recipes use."""


class _Moments(NamedTuple):
    """Population moments (T,) over the clips that have a label; ``shift`` is p's mean less y's."""

    covariance: Tensor
    variance: Tensor
    label_variance: Tensor
    shift: Tensor


def _mean_over_labels(
    each: Callable[..., Tensor], predictions: Tensor, labels: Tensor, weights: Tensor | None
) -> Tensor:
    """Return the weighted mean of a function of two tensors over the labels that are there."""
    rated = ~labels.isnan()
    if not bool(rated.any()):
        return predictions[rated].sum()  # 0, with a gradient
    if weights is not None:
        shares = _spread(weights, labels)[rated]
        parts = each(predictions[rated], labels[rated], reduction="none")
        return (shares * parts).sum() / shares.sum()
    if not bool(rated.all()):
        predictions, labels = predictions[rated], labels[rated]
    return each(predictions, labels, reduction="mean")


def _deviance(predictions: Tensor, labels: Tensor, *, reduction: str) -> Tensor:
    if not bool((predictions + labels).isfinite().all()):  # the trainer names the clip
        return torch.nn.functional.mse_loss(predictions, labels, reduction=reduction)
    entropy = torch.nn.functional.binary_cross_entropy
    found = entropy(predictions, labels, reduction=reduction)
    return found - entropy(labels, labels, reduction=reduction)


def _spread(weights: Tensor, labels: Tensor) -> Tensor:
    return weights.reshape(-1, 1).to(labels).expand_as(labels)


def _moments(predictions: Tensor, labels: Tensor, weights: Tensor | None) -> _Moments:
    rated = ~labels.isnan()
    if weights is not None:
        shares = torch.where(rated, _spread(weights, labels), torch.zeros_like(labels))
        shares = shares / shares.sum(dim=0).clamp(min=EPSILON)
        return _moments_of(
            predictions.where(rated, torch.zeros_like(predictions)),
            labels.nan_to_num(),
            lambda values: (shares * values).sum(dim=0),
        )
    if bool(rated.all()):
        return _moments_of(predictions, labels, lambda values: values.mean(dim=0))
    counts = rated.sum(dim=0).clamp(min=1)
    return _moments_of(
        predictions.where(rated, torch.zeros_like(predictions)),
        labels.nan_to_num(),
        lambda values: values.where(rated, torch.zeros_like(values)).sum(dim=0) / counts,
    )


def _moments_of(predictions: Tensor, labels: Tensor, mean: Callable[[Tensor], Tensor]) -> _Moments:
    centre, label_centre = mean(predictions), mean(labels)
    deviation, label_deviation = predictions - centre, labels - label_centre
    return _Moments(
        covariance=mean(deviation * label_deviation),
        variance=mean(deviation.square()),
        label_variance=mean(label_deviation.square()),
        shift=centre - label_centre,
    )


def _mean_where_varied(losses: Tensor, labels: Tensor) -> Tensor:
    varied = labels.nan_to_num(torch.inf).amin(dim=0) < labels.nan_to_num(-torch.inf).amax(dim=0)
    return (losses * varied).sum() / varied.sum().clamp(min=1)
