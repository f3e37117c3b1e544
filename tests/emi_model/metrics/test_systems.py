from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.metrics.agreement import ccc, pearson
from emi_model.metrics.resamples import resampled_counts
from emi_model.metrics.speaker_draws import of_one_draw
from emi_model.metrics.systems import CHANCE, compare_systems, holm

Floats = NDArray[np.float64]

GROUPS = [f"speaker {clip // 4}" for clip in range(40)]
TARGETS = ("Joy", "Pain")
NUM_RESAMPLES, SEED = 200, 3


@pytest.fixture
def labels() -> Floats:
    return np.random.default_rng(0).random((40, 2))


def trained(labels: Floats, noise: float, seed: int, num_seeds: int = 3) -> Floats:
    rng = np.random.default_rng(seed)
    return labels + noise * rng.standard_normal((num_seeds, *labels.shape))


def of_resample(predictions: Floats, labels: Floats, counts: NDArray[np.int64]) -> Floats:
    """Pearson (S, T + 1) of each training in a resample, by repeating clips."""
    true = np.repeat(labels, counts, axis=0)
    found = [
        [pearson(np.repeat(one[:, t], counts), true[:, t]) for t in range(2)] for one in predictions
    ]
    values = np.array(found, np.float64)
    return np.hstack([values, values.mean(axis=1, keepdims=True)])


def test_figures_and_differences_are_those_of_repeated_clips_and_drawn_seeds(
    labels: Floats,
) -> None:
    systems = {"one": trained(labels, 0.3, 1), "other": trained(labels, 0.4, 2, num_seeds=2)}
    found = compare_systems(
        systems,
        labels,
        TARGETS,
        reference="other",
        groups=GROUPS,
        num_resamples=NUM_RESAMPLES,
        level=0.9,
        seed=SEED,
    )
    (counts,) = resampled_counts(GROUPS, 40, NUM_RESAMPLES, SEED)
    rng = np.random.default_rng([SEED, 1])
    resampled = {}
    for name, predictions in systems.items():
        drawn = rng.integers(len(predictions), size=(NUM_RESAMPLES, len(predictions)))
        resampled[name] = np.stack(
            [
                of_resample(predictions, labels, row)[seeds].mean(axis=0)
                for row, seeds in zip(counts, drawn, strict=True)
            ]
        )
    own = of_resample(systems["one"], labels, np.ones(40, np.int64))
    others = of_resample(systems["other"], labels, np.ones(40, np.int64))
    differences = resampled["one"] - resampled["other"]
    for column, figures in enumerate(found["one"]):
        ends = np.percentile(resampled["one"][:, column], [5, 95])
        assert figures.pearson.value == pytest.approx(own[:, column].mean())
        assert [figures.pearson.low, figures.pearson.high] == pytest.approx(ends)
        assert figures.pearson_sd == pytest.approx(own[:, column].std(ddof=1))
        apart = figures.difference
        assert apart is not None
        assert apart.value == pytest.approx(own[:, column].mean() - others[:, column].mean())
        ends = np.percentile(differences[:, column], [5, 95])
        assert [apart.low, apart.high] == pytest.approx(ends)
        drawn = of_one_draw(np.round(differences[:, column], 12), 10)
        assert drawn is not None
        assert figures.p == pytest.approx(drawn.p())
    assert [figures.difference for figures in found["other"]] == [None] * 3
    concordance = np.mean([ccc(one[:, 0], labels[:, 0]) for one in systems["one"]])
    assert found["one"][0].ccc.value == pytest.approx(concordance)


def test_chance_is_a_reference_of_correlation_zero(labels: Floats) -> None:
    found = compare_systems(
        {"knows": trained(labels, 0.2, 1)}, labels, TARGETS, reference=CHANCE, groups=GROUPS
    )
    knowing = found["knows"][-1]
    assert knowing.difference is not None
    assert knowing.difference.value == pytest.approx(knowing.pearson.value)
    assert knowing.difference.low == pytest.approx(knowing.pearson.low)
    assert knowing.p is not None
    assert 0 < knowing.p < 1e-3


def test_of_systems_that_guess_few_seem_to_know_and_none_after_the_correction() -> None:
    labels = np.random.default_rng(5).random((120, 2))
    groups = [f"speaker {clip // 4}" for clip in range(120)]
    guesses = {str(seed): trained(labels * 0, 1.0, seed) for seed in range(60)}
    found = compare_systems(
        guesses, labels, TARGETS, reference=CHANCE, groups=groups, num_resamples=500
    )
    ps = [figures[-1].p for figures in found.values()]
    assert sum(p is not None and p <= 0.05 for p in ps) <= 6
    assert min(p for p in holm(ps) if p is not None) > 0.05


@pytest.mark.parametrize(("num_speakers", "most"), [(4, 0), (5, 6)])
def test_chance_seldom_seems_sure_where_speakers_are_few(num_speakers: int, most: int) -> None:
    groups = [f"speaker {clip % num_speakers}" for clip in range(8 * num_speakers)]
    random = np.random.default_rng(2)
    sure = 0
    for _ in range(60):
        labels, one, other = random.random((3, len(groups), 1))
        pair = {"one": one[np.newaxis], "other": other[np.newaxis]}
        found = compare_systems(
            pair, labels, ["Joy"], reference="one", groups=groups, num_resamples=200
        )
        p = found["other"][-1].p
        sure += p is not None and p <= 0.05
    assert sure <= most  # 3 of 60 would be 5 %


def test_a_training_that_learnt_nothing_counts_as_zero_and_not_as_missing(labels: Floats) -> None:
    half = trained(labels, 0.1, 1, num_seeds=2)
    half[1] = 0.5
    found = compare_systems({"half": half}, labels, TARGETS, num_resamples=50)["half"]
    alone = pearson(half[0, :, 0], labels[:, 0])
    assert alone is not None
    assert found[0].pearson.value == pytest.approx(alone / 2)
    assert found[0].difference is None


def test_equal_systems_of_one_seed_tie(labels: Floats) -> None:
    one = trained(labels, 0.2, 1, num_seeds=1)
    found = compare_systems({"a": one, "b": 2 * one}, labels, TARGETS, reference="a")["b"][-1]
    assert found.difference is not None
    assert (found.difference.value, found.difference.low, found.p) == (0.0, 0.0, 1.0)
    assert found.pearson_sd is None


def test_labels_all_alike_and_clips_of_one_speaker_give_no_figures(labels: Floats) -> None:
    labels[:, 0] = 0.5
    one = trained(labels, 0.2, 1)
    found = compare_systems({"a": one, "b": one}, labels, TARGETS, reference="a", num_resamples=20)
    joy, pain, mean = found["b"]
    assert joy.difference is not None
    assert (joy.pearson.value, joy.difference.value, joy.p) == (None, None, None)
    assert mean.pearson.value == pain.pearson.value
    alone = compare_systems({"a": one}, labels, TARGETS, reference=CHANCE, groups=["x"] * 40)
    assert (alone["a"][-1].pearson.low, alone["a"][-1].p) == (None, None)


def test_a_target_that_one_speaker_has_labels_of_has_no_interval_and_no_p_value(
    labels: Floats,
) -> None:
    labels[4:, 1] = np.nan
    systems = {"a": trained(labels, 0.2, 1), "b": trained(labels, 0.6, 2)}
    systems = {name: np.nan_to_num(found, nan=0.5) for name, found in systems.items()}
    found = compare_systems(systems, labels, TARGETS, reference="a", groups=GROUPS)
    joy, pain, mean = found["b"]
    assert pain.difference is not None
    assert pain.difference.value is not None
    assert (pain.difference.low, pain.p, pain.mae.high) == (None, None, None)
    assert None not in (joy.p, mean.p)


def test_holm_by_hand() -> None:
    # sorted: .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 x 1 -> not below .06
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([None]) == [None]
    assert holm([]) == []
