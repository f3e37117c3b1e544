from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from emi_model.metrics import agreement
from emi_model.training.objective.losses import LOSSES, Loss, ccc_loss, mse_loss, pearson_loss

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
    if name not in ("mse", "binomial"):  # which weigh labels, where correlations weigh targets
        columns = [
            LOSSES[name](predictions[rated[:, t], t : t + 1], labels[rated[:, t], t : t + 1])
            for t in range(2)
        ]
        assert loss.item() == pytest.approx(float(sum(columns)) / 2, abs=1e-6)
    else:
        there = LOSSES[name](predictions[rated][:, None], labels[rated][:, None])
        assert loss.item() == pytest.approx(there.item())


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_batch_without_any_label_teaches_nothing(name: str) -> None:
    heard = torch.rand(3, 2).requires_grad_()
    loss = LOSSES[name](heard, torch.full((3, 2), MISSING))
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert heard.grad is not None
    assert bool((heard.grad == 0).all())


raters = arrays(np.float64, (6,), elements=st.integers(1, 20))


@given(batches, batches, raters, st.sampled_from(sorted(LOSSES)))
def test_a_weight_counts_a_clip_as_often_as_it_says(
    predictions: NDArray[np.float64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    name: str,
) -> None:
    times = weights.astype(np.int64)
    repeated = [torch.from_numpy(np.repeat(v, times, axis=0)) for v in (predictions, labels)]
    heard = torch.from_numpy(predictions).requires_grad_()
    found = LOSSES[name](heard, torch.from_numpy(labels), torch.from_numpy(weights))
    torch.autograd.backward(found)
    assert found.item() == pytest.approx(LOSSES[name](*repeated).item(), rel=1e-6, abs=1e-6)
    assert heard.grad is not None
    assert torch.isfinite(heard.grad).all()


@given(
    arrays(np.float64, (6, 2), elements=st.floats(0.01, 0.99)),
    arrays(np.float64, (6, 2), elements=st.floats(0.0, 1.0)),
    raters,
)
def test_the_binomial_loss_is_the_likelihood_of_k_of_n_raters(
    predictions: NDArray[np.float64], shares: NDArray[np.float64], weights: NDArray[np.float64]
) -> None:
    counts = np.round(shares * weights[:, None])
    labels = counts / weights[:, None]
    tensors = [torch.from_numpy(values) for values in (labels, weights)]

    def log_likelihood(p: NDArray[np.float64]) -> torch.Tensor:
        total = torch.from_numpy(np.broadcast_to(weights[:, None], p.shape).copy())
        spread: Any = torch.distributions.Binomial(total, torch.from_numpy(p))
        found: torch.Tensor = spread.log_prob(torch.from_numpy(counts)).sum()
        return found

    found = LOSSES["binomial"](torch.from_numpy(predictions), *tensors)
    best = log_likelihood(labels.clip(1e-15, 1 - 1e-15))
    expected = (best - log_likelihood(predictions)) / (2 * weights.sum())
    assert found.item() == pytest.approx(expected.item(), abs=1e-9)
    assert found.item() >= -1e-12
    least = torch.from_numpy(labels).requires_grad_()
    loss = LOSSES["binomial"](least, *tensors)
    torch.autograd.backward(loss)
    assert least.grad is not None
    assert (loss.item(), float(least.grad.abs().max())) == (0.0, 0.0)


def test_a_wrong_and_saturated_prediction_has_a_finite_gradient() -> None:
    heard = torch.tensor([[0.0, 1.0, 0.0]], requires_grad=True)
    torch.autograd.backward(LOSSES["binomial"](heard, torch.tensor([[1.0, 0.0, 0.0]])))
    assert heard.grad is not None
    assert torch.isfinite(heard.grad).all()
    assert heard.grad[0].sign().tolist() == [-1.0, 1.0, 0.0]
