from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from emi_model.metrics.student import MANY_FREEDOMS, student_p, student_quantile


@pytest.mark.parametrize(
    ("level", "freedom", "expected"),
    [(0.95, 1, 12.706), (0.95, 4, 2.776), (0.95, 19, 2.093), (0.99, 30, 2.750), (0.9, 120, 1.658)],
)
def test_quantiles_of_the_printed_table(level: float, freedom: int, expected: float) -> None:
    assert student_quantile(level, freedom) == pytest.approx(expected, abs=6e-4)
    assert student_p(-student_quantile(level, freedom), freedom) == pytest.approx(1 - level)


@pytest.mark.parametrize("freedom", [1, 2, 3, 8, 41])
def test_p_is_what_the_density_leaves_outside(freedom: int) -> None:
    """The density integrated, an independent computation: t = tan(u) makes the range finite."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 200_001)[1:-1]
    density = (1 + np.tan(angles) ** 2 / freedom) ** (-(freedom + 1) / 2) / np.cos(angles) ** 2
    outside = np.abs(np.tan(angles)) > 1.3
    assert student_p(1.3, freedom) == pytest.approx(
        float(density[outside].sum() / density.sum()), abs=1e-4
    )


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    normal = NormalDist().inv_cdf(0.975)
    assert student_quantile(0.95, MANY_FREEDOMS) == pytest.approx(normal)
    assert student_quantile(0.95, MANY_FREEDOMS - 1) == pytest.approx(normal, abs=6e-3)
    assert student_p(0.0, 7) == 1.0
