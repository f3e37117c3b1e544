"""A label that is a product of two modalities, which one linear layer cannot learn, or a sum."""

from __future__ import annotations

import numpy as np
import pytest

from emi_model.arrays import Doubles
from emi_model.metrics.bootstrap import (
    PairedDifference,
    evaluate_with_intervals,
    paired_difference,
)
from tests.emi_model.architecture.fusions.two_vectors import (
    PROBE,
    PRODUCT,
    PRODUCTS,
    SHUFFLED,
    SUM,
    made_task,
    predicted,
)

STEPS = dict.fromkeys(PRODUCTS, 40) | {"linear": 200}
"""One linear layer is quick to train, and nothing that it could learn is to be missing."""


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Doubles]]:
    """Predictions of each task's other clips by fusion, and the labels."""
    tasks = {kind: made_task(kind, seed=1, num_clips=200) for kind in (PRODUCT, SUM, SHUFFLED)}
    fusions = {"linear": PROBE, **PRODUCTS}
    return {
        kind: {
            "labels": task.other_labels.double().numpy(),
            **{
                name: predicted(fusion, task, seed=1, steps=STEPS[name])
                for name, fusion in fusions.items()
            },
        }
        for kind, task in tasks.items()
    }


def gained(of_task: dict[str, Doubles], name: str) -> PairedDifference:
    """Return how much more than one linear layer a fusion finds, within 95 %."""
    one, other, labels = (of_task[key][:, None] for key in (name, "linear", "labels"))
    return paired_difference(one, other, labels, num_resamples=1000, level=0.975)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_learnt_by_fusions_that_multiply(
    found: dict[str, dict[str, Doubles]], name: str
) -> None:
    more = gained(found[PRODUCT], name)
    assert more.low is not None
    assert more.low > 0.5


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_sum_is_learnt_by_all_and_best_by_one_layer(
    found: dict[str, dict[str, Doubles]], name: str
) -> None:
    more = gained(found[SUM], name)
    assert more.low is not None
    assert more.low <= 0
    assert np.corrcoef(found[SUM][name], found[SUM]["labels"])[0, 1] > 0.7


@pytest.mark.parametrize("name", ["linear", *PRODUCTS])
def test_shuffled_labels_are_not_learnt(found: dict[str, dict[str, Doubles]], name: str) -> None:
    predictions, labels = (found[SHUFFLED][key][:, None] for key in (name, "labels"))
    pearson = evaluate_with_intervals(
        predictions, labels, ["Label"], num_resamples=1000, level=0.99
    ).mean.pearson
    assert pearson.low is not None
    assert pearson.high is not None
    assert pearson.low < 0 < pearson.high
