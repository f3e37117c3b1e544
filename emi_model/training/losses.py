"""Training losses: predictions (B, T) and labels (B, T) in, one number to minimise out.

The correlation losses compare clips of one batch with each other. A target whose labels are all
alike in a batch is left out of its loss; if all targets are, the loss is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]

EPSILON = 1e-8
"""Added to variances that divide: a batch may hold predictions that are all alike."""


def mse_loss(predictions: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error over clips and targets, the paper's loss.

    ``mean((p - y)^2)`` (Hallmen et al., arXiv 2403.11879).
    """
    return torch.nn.functional.mse_loss(predictions, labels)


def ccc_loss(predictions: Tensor, labels: Tensor) -> Tensor:
    """Return 1 - CCC, the mean over targets, in [0, 2].

    ``CCC = 2 cov(p, y) / (var(p) + var(y) + (mean(p) - mean(y))^2)`` with population moments
    (Lin 1989, Biometrics 45(1)), over the clips of the batch.
    """
    covariance, variance, label_variance = _moments(predictions, labels)
    shift = (predictions.mean(dim=0) - labels.mean(dim=0)).square()
    concordance = 2 * covariance / (variance + label_variance + shift + EPSILON)
    return _mean_where_varied(1 - concordance, labels)


def mse_ccc_loss(predictions: Tensor, labels: Tensor) -> Tensor:
    """Return the sum of `mse_loss` and `ccc_loss` (an option of the authors' code)."""
    return mse_loss(predictions, labels) + ccc_loss(predictions, labels)


def pearson_loss(predictions: Tensor, labels: Tensor) -> Tensor:
    """Return 1 - Pearson's correlation, the mean over targets, in [0, 2].

    ``1 - cov(p, y) / (std(p) std(y))`` over the clips of the batch (an option of the authors'
    code). It fixes neither the scale nor the level of the predictions.
    """
    covariance, variance, label_variance = _moments(predictions, labels)
    correlation = covariance / ((variance + EPSILON) * (label_variance + EPSILON)).sqrt()
    return _mean_where_varied(1 - correlation, labels)


def mse_pearson_loss(predictions: Tensor, labels: Tensor) -> Tensor:
    """Return the sum of `mse_loss` and `pearson_loss`: the metric itself, on the labels' scale."""
    return mse_loss(predictions, labels) + pearson_loss(predictions, labels)


LOSSES: MappingProxyType[str, Loss] = MappingProxyType(
    {
        "mse": mse_loss,
        "ccc": ccc_loss,
        "mse+ccc": mse_ccc_loss,
        "pearson": pearson_loss,
        "mse+pearson": mse_pearson_loss,
    }
)
"""Losses by the names that recipes use."""


def _moments(predictions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (T,) covariance, variance of the predictions, variance of the labels."""
    deviation = predictions - predictions.mean(dim=0)
    label_deviation = labels - labels.mean(dim=0)
    return (
        (deviation * label_deviation).mean(dim=0),
        deviation.square().mean(dim=0),
        label_deviation.square().mean(dim=0),
    )


def _mean_where_varied(losses: Tensor, labels: Tensor) -> Tensor:
    varied = labels.amin(dim=0) < labels.amax(dim=0)
    return (losses * varied).sum() / varied.sum().clamp(min=1)
