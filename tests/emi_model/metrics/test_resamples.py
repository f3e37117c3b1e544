from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from emi_model.metrics import resamples
from emi_model.metrics.agreement import ccc, mae, pearson, rmse
from emi_model.metrics.resamples import number_groups, resample_metrics, resampled_counts

Floats = NDArray[np.float64]

NUM_CLIPS = 7
METRICS = (pearson, ccc, mae, rmse)

# many labels are exactly 0, so that resamples with nothing but equal values come up often
scores = st.one_of(st.just(0.0), st.sampled_from([0.1, 1.0]), st.floats(0.0, 1.0, width=32))
matrices = arrays(np.float64, (NUM_CLIPS, 2), elements=scores)
groupings = st.lists(st.sampled_from(["", "anna", "ben", "cleo"]), min_size=7, max_size=7)


def drawn(groups: list[str] | None, num_clips: int, num: int, seed: int) -> NDArray[np.int64]:
    return np.concatenate(list(resampled_counts(groups, num_clips, num, seed)))


@given(groupings)
def test_groups_come_whole_and_as_many_as_there_are(groups: list[str]) -> None:
    counts = drawn(groups, NUM_CLIPS, 50, seed=3)
    group_of = number_groups(groups, NUM_CLIPS)
    firsts = [int(np.flatnonzero(group_of == group)[0]) for group in range(group_of.max() + 1)]
    assert counts.shape == (50, NUM_CLIPS)
    assert (counts == counts[:, [firsts[group] for group in group_of]]).all()
    assert (counts[:, firsts].sum(axis=1) == len(firsts)).all()


def test_a_clip_without_a_group_is_one_of_its_own() -> None:
    expected = drawn(None, 5, 20, seed=1)
    assert (drawn([""] * 5, 5, 20, seed=1) == expected).all()
    assert (drawn(["e", "", "c", "b", "a"], 5, 20, seed=1) == expected).all()
    assert number_groups(["b", "", "b", None, "0"], 5).tolist() == [0, 1, 0, 2, 3]


def test_one_seed_draws_the_same_and_another_does_not() -> None:
    assert (drawn(None, 9, 30, seed=1) == drawn(None, 9, 30, seed=1)).all()
    assert (drawn(None, 9, 30, seed=1) != drawn(None, 9, 30, seed=2)).any()


def test_what_is_held_at_once_is_limited_and_does_not_change_the_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = drawn(["a", "b", "b", "c"], 4, 11, seed=5)
    monkeypatch.setattr(resamples, "WEIGHTS_AT_ONCE", 12)
    parts = list(resampled_counts(["a", "b", "b", "c"], 4, 11, seed=5))
    assert [len(part) for part in parts] == [3, 3, 3, 2]
    assert (np.concatenate(parts) == expected).all()


def test_a_hundred_thousand_clips_do_not_fill_the_memory() -> None:
    first = next(resampled_counts(None, 100_000, 2000, seed=1))
    assert first.size <= resamples.WEIGHTS_AT_ONCE
    assert (first.sum(axis=1) == 100_000).all()


def repeated_figures(
    predicted: Floats, true: Floats, groups: list[str] | None, seed: int, num: int
) -> Floats:
    """Return what `resample_metrics` should: each resample's clips written out."""
    columns = range(true.shape[1])
    values = [
        [
            [metric(np.repeat(predicted[:, c], row), np.repeat(true[:, c], row)) for c in columns]
            for row in drawn(groups, len(true), num, seed)
        ]
        for metric in METRICS
    ]
    return np.array(values, dtype=np.float64)  # None becomes NaN


@given(matrices, matrices, st.one_of(st.none(), groupings), st.integers(0, 2**32))
def test_weights_give_what_repeated_clips_give(
    predicted: Floats, true: Floats, groups: list[str] | None, seed: int
) -> None:
    found = resample_metrics(predicted, true, groups, 12, seed)
    expected = repeated_figures(predicted, true, groups, seed, 12)
    assert (np.isnan(found) == np.isnan(expected)).all()
    assert found == pytest.approx(expected, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("scale", [1e-200, 1e-6, 1.0, 1e4])
def test_no_digits_are_lost_beside_an_outlier_or_far_from_zero(scale: float) -> None:
    generator = np.random.default_rng(0)
    true = scale * generator.random((12, 3))
    predicted = true + scale * generator.random((12, 3))
    predicted[:, 0] += 1e5 * scale
    predicted[3, 1] += 1e8 * scale
    found = resample_metrics(predicted, true, None, 200, seed=1)
    assert np.isfinite(found).all()
    assert found == pytest.approx(repeated_figures(predicted, true, None, 1, 200), rel=1e-6)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="2 groups of 3 clips"):
        number_groups(["a", "b"], 3)
    with pytest.raises(ValueError, match="0 groups of 0 clips"):
        number_groups(None, 0)
    with pytest.raises(ValueError, match="0 resamples"):
        drawn(None, 3, 0, seed=1)


def test_a_target_is_measured_on_the_clips_that_have_its_label() -> None:
    rng = np.random.default_rng(3)
    predicted, true = rng.uniform(size=(2, 12, 3))
    true[3:, 1] = np.nan
    true[:, 2] = np.nan
    found = resample_metrics(predicted, true, None, 50, 1)
    whole = resample_metrics(predicted[:, :1], true[:, :1], None, 50, 1)
    assert found[:, :, :1] == pytest.approx(whole, nan_ok=True)
    assert np.isnan(found[:, :, 2]).all()
    counts = np.concatenate(list(resampled_counts(None, 12, 50, 1)))[:, :3]
    for number, count in enumerate(counts):
        if not count.any():
            assert np.isnan(found[:, number, 1]).all()
            continue
        p, y = (np.repeat(values[:3, 1], count) for values in (predicted, true))
        assert found[2, number, 1] == pytest.approx(np.abs(p - y).mean())
        expected = pearson(p, y)
        value = np.nan if expected is None else expected
        assert found[0, number, 1] == pytest.approx(value, nan_ok=True, abs=1e-9)
