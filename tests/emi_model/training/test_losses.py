from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from emi_model.metrics import agreement
from emi_model.training.losses import LOSSES, Loss, ccc_loss, mse_loss, pearson_loss

batches = arrays(np.float64, (6, 2), elements=st.floats(0.0, 1.0, width=32))

GOLDEN_PREDICTIONS = torch.tensor([[1.0, 0.0], [2.0, 0.5], [3.0, 0.5], [4.0, 1.0]])
GOLDEN_LABELS = torch.tensor([[1.0, 0.0], [3.0, 0.5], [2.0, 0.5], [6.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mse", 0.75),
        ("ccc", (1 - 0.7) / 2),
        ("pearson", (1 - 7 / 70**0.5) / 2),
        ("mse+ccc", 0.75 + (1 - 0.7) / 2),
        ("mse+pearson", 0.75 + (1 - 7 / 70**0.5) / 2),
    ],
)
def test_golden_values(name: str, expected: float) -> None:
    # the first target is worked out in test_metrics.py; the second is predicted exactly
    loss = LOSSES[name](GOLDEN_PREDICTIONS, GOLDEN_LABELS)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@given(batches, batches)
def test_losses_are_one_minus_the_metrics(
    predictions: NDArray[np.float64], labels: NDArray[np.float64]
) -> None:
    assume(np.ptp(predictions, axis=0).min() > 0.05 and np.ptp(labels, axis=0).min() > 0.05)
    pairs = list(zip(predictions.T, labels.T, strict=True))
    given_tensors = torch.from_numpy(predictions), torch.from_numpy(labels)
    correlation = agreement.mean_defined(agreement.pearson(p, y) for p, y in pairs)
    concordance = agreement.mean_defined(agreement.ccc(p, y) for p, y in pairs)
    assert correlation is not None
    assert concordance is not None
    assert pearson_loss(*given_tensors).item() == pytest.approx(1 - correlation, abs=1e-3)
    assert ccc_loss(*given_tensors).item() == pytest.approx(1 - concordance, abs=1e-3)
    assert mse_loss(*given_tensors).item() == pytest.approx(agreement.mse(predictions, labels))


@given(batches, batches, st.sampled_from(sorted(LOSSES)))
def test_value_and_gradient_are_always_finite(
    predictions: NDArray[np.float64], labels: NDArray[np.float64], name: str
) -> None:
    heard = torch.from_numpy(predictions).requires_grad_()
    loss = LOSSES[name](heard, torch.from_numpy(labels))
    torch.autograd.backward(loss)
    assert heard.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(heard.grad).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("num_clips", [1, 4])
def test_equal_predictions_and_labels_give_no_nan(name: str, num_clips: int) -> None:
    heard = torch.full((num_clips, 3), 0.5, requires_grad=True)
    loss = LOSSES[name](heard, torch.full((num_clips, 3), 0.5))
    torch.autograd.backward(loss)
    assert heard.grad is not None
    assert loss.item() == 0.0
    assert torch.equal(heard.grad, torch.zeros_like(heard))


@pytest.mark.parametrize("loss", [ccc_loss, pearson_loss])
def test_a_target_that_is_constant_in_the_batch_is_left_out(loss: Loss) -> None:
    generator = torch.Generator().manual_seed(0)
    predictions = torch.rand(5, 2, generator=generator)
    labels = torch.rand(5, 2, generator=generator)
    labels[:, 1] = 0.0
    assert torch.equal(loss(predictions, labels), loss(predictions[:, :1], labels[:, :1]))


MISSING = torch.nan


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_prediction_beside_a_missing_label_counts_in_no_loss(name: str) -> None:
    labels = torch.tensor([[0.1, 0.4], [0.5, MISSING], [0.9, 0.7], [MISSING, 0.2]])
    predictions = torch.tensor([[0.2, 0.5], [0.4, 9.0], [0.7, 0.6], [-9.0, 0.4]])
    heard = predictions.clone().requires_grad_()
    loss = LOSSES[name](heard, labels)
    torch.autograd.backward(loss)
    assert heard.grad is not None
    rated = ~labels.isnan()
    assert bool((heard.grad[~rated] == 0).all())
    assert bool((heard.grad[rated] != 0).any())
    if name != "mse":  # which weighs labels, where correlations weigh targets
        columns = [
            LOSSES[name](predictions[rated[:, t], t : t + 1], labels[rated[:, t], t : t + 1])
            for t in range(2)
        ]
        assert loss.item() == pytest.approx(float(sum(columns)) / 2, abs=1e-6)
    else:
        squares = (predictions - labels)[rated].square()
        assert loss.item() == pytest.approx(squares.mean().item())


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_batch_without_any_label_teaches_nothing(name: str) -> None:
    heard = torch.rand(3, 2).requires_grad_()
    loss = LOSSES[name](heard, torch.full((3, 2), MISSING))
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert heard.grad is not None
    assert bool((heard.grad == 0).all())
