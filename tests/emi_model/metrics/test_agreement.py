from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from emi_model.metrics.agreement import (
    ccc,
    evaluate,
    mae,
    mean_defined,
    mean_pearson,
    mean_skill,
    mse,
    pearson,
    rmse,
)

Floats = NDArray[np.float64]

columns = arrays(np.float64, 8, elements=st.floats(0.0, 1.0, width=32))


def test_golden_values() -> None:
    predictions, labels = [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 6.0]
    # deviations (-1.5, -.5, .5, 1.5) and (-2, 0, -1, 3): covariance 7/4, variances 5/4 and 14/4
    assert pearson(predictions, labels) == pytest.approx(7 / np.sqrt(5 * 14))
    assert ccc(predictions, labels) == pytest.approx(2 * 7 / 4 / (5 / 4 + 14 / 4 + 0.25))
    assert mse(predictions, labels) == pytest.approx((0 + 1 + 1 + 4) / 4)
    assert mae(predictions, labels) == pytest.approx((0 + 1 + 1 + 2) / 4)
    assert rmse(predictions, labels) == pytest.approx(np.sqrt(6 / 4))


@given(columns, columns)
def test_pearson_is_numpys(predictions: Floats, labels: Floats) -> None:
    assume(np.ptp(predictions) > 1e-3 and np.ptp(labels) > 1e-3)
    assert pearson(predictions, labels) == pytest.approx(np.corrcoef(predictions, labels)[0, 1])


@given(columns, columns, st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_pearson_knows_neither_scale_nor_level(
    predictions: Floats, labels: Floats, scale: float, level: float
) -> None:
    assume(np.ptp(predictions) > 1e-3 and np.ptp(labels) > 1e-3)
    expected = pearson(predictions, labels)
    assert pearson(scale * predictions + level, labels) == pytest.approx(expected, abs=1e-6)
    assert pearson(-predictions, labels) == pytest.approx(-(expected or 0.0), abs=1e-6)


@given(columns, columns)
def test_pearson_lies_between_its_bounds_or_is_undefined(
    predictions: Floats, labels: Floats
) -> None:
    value = pearson(predictions, labels)
    if value is None:
        assert np.ptp(predictions) == 0 or np.ptp(labels) == 0
    else:
        assert -1.0 <= value <= 1.0


@given(columns, columns)
def test_ccc_never_exceeds_pearson(predictions: Floats, labels: Floats) -> None:
    assume(np.ptp(predictions) > 1e-3 and np.ptp(labels) > 1e-3)
    correlation, concordance = pearson(predictions, labels), ccc(predictions, labels)
    assert correlation is not None
    assert concordance is not None
    assert abs(concordance) <= abs(correlation) + 1e-9


@given(columns, columns)
def test_the_mean_error_lies_between_nothing_and_its_root_mean_square(
    predictions: Floats, labels: Floats
) -> None:
    assert 0.0 <= mae(predictions, labels) <= rmse(predictions, labels) + 1e-12
    assert rmse(predictions, labels) ** 2 == pytest.approx(mse(predictions, labels))


def test_tiny_differences_do_not_vanish() -> None:
    tiny = np.array([0.0, 1e-200, 3e-200])
    assert pearson(tiny, tiny) == pytest.approx(1.0)
    assert ccc(tiny, tiny) == pytest.approx(1.0)
    assert ccc(tiny[::-1], tiny) == pytest.approx(-1.0, abs=0.1)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1.0])
def test_constant_labels_have_no_correlation(constant: float) -> None:
    labels = np.full(7, constant)
    predictions = np.linspace(0.0, 1.0, 7)
    assert pearson(predictions, labels) is None
    assert ccc(predictions, labels) is None


def test_constant_predictions_correlate_with_nothing_and_agree_by_nothing() -> None:
    assert pearson([0.5, 0.5, 0.5], [0.0, 0.5, 1.0]) is None
    assert ccc([0.5, 0.5, 0.5], [0.0, 0.5, 1.0]) == 0.0


def test_a_target_without_correlation_stays_out_of_the_mean() -> None:
    labels = np.array([[0.0, 0.0, 0.2], [0.5, 0.0, 0.1], [1.0, 0.0, 0.0]])
    metrics = evaluate(labels[:, [0, 2, 0]], labels, ["good", "absent", "reversed"])
    assert metrics["absent"].pearson is None
    assert metrics["absent"].ccc is None
    assert metrics["good"].pearson == pytest.approx(1.0)
    assert mean_pearson(metrics) == pytest.approx(0.0)


def test_what_is_chosen_by_counts_a_constant_prediction_as_nothing_learnt() -> None:
    labels = np.array([[0.0, 0.0, 0.2], [0.5, 0.0, 0.1], [1.0, 0.0, 0.0]])
    predicted = np.array([[0.1, 0.3, 0.4], [0.6, 0.1, 0.4], [1.1, 0.2, 0.4]])
    metrics = evaluate(predicted, labels, ["good", "absent", "constant"])
    assert metrics["good"].skill == pytest.approx(1.0)
    assert metrics["absent"].skill is None
    assert (metrics["constant"].pearson, metrics["constant"].skill) == (None, 0.0)
    assert mean_pearson(metrics) == pytest.approx(1.0)
    assert mean_skill(metrics) == pytest.approx(0.5)
    assert mean_skill({"absent": metrics["absent"]}) is None


def test_every_figure_of_a_target_is_told() -> None:
    predictions, labels = np.array([[0.0], [0.4], [0.5]]), np.array([[0.1], [0.2], [0.9]])
    found = evaluate(predictions, labels, ["Joy"])["Joy"]
    expected = [metric(predictions, labels) for metric in (pearson, ccc, mse, mae, rmse)]
    assert [found.pearson, found.ccc, found.mse, found.mae, found.rmse] == pytest.approx(expected)


def test_a_mean_of_nothing_is_none() -> None:
    assert mean_defined([None, None]) is None
    assert mean_defined([None, 0.25, 0.75]) == 0.5


@pytest.mark.parametrize("metric", [pearson, ccc, mse, mae, rmse])
@pytest.mark.parametrize(
    ("predictions", "labels"),
    [([], []), ([1.0], [1.0, 2.0]), ([np.nan, 1.0], [0.0, 1.0]), ([0.0, 1.0], [np.inf, 1.0])],
)
def test_what_cannot_be_measured_is_refused(
    metric: Callable[..., object], predictions: list[float], labels: list[float]
) -> None:
    with pytest.raises(ValueError, match="found predictions"):
        metric(predictions, labels)


def test_evaluate_wants_a_name_a_column() -> None:
    with pytest.raises(ValueError, match="zip"):
        evaluate(np.eye(2), np.eye(2), ["one"])


def test_a_target_is_measured_on_the_clips_that_have_its_label() -> None:
    predicted = np.array([[0.1, 0.2, 0.3], [0.4, 0.1, 0.3], [0.8, 0.9, 0.3]])
    labels = np.array([[0.2, np.nan, np.nan], [0.4, 0.5, np.nan], [0.9, 0.7, np.nan]])
    found = evaluate(predicted, labels, ("joy", "fear", "awe"))
    assert found["joy"].pearson == pearson(predicted[:, 0], labels[:, 0])
    assert found["fear"].mae == pytest.approx(0.3)
    assert (found["awe"].pearson, found["awe"].mse, found["awe"].rmse) == (None, None, None)
    assert mean_pearson({"fear": found["fear"], "awe": found["awe"]}) == found["fear"].pearson
