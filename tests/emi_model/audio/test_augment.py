from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from emi_model.audio.augment import (
    EQUALISER_KNOTS,
    Augmentation,
    add_noise,
    augment,
    change_gain,
    change_speed,
    equalise,
    random_crop,
    shift,
)
from emi_model.audio.waveform import normalise
from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE

waveforms = arrays(np.float32, st.integers(2, 400), elements=st.floats(-1.0, 1.0, width=32))


def tone(hertz: float, num_samples: int) -> NDArray[np.float32]:
    times = np.arange(num_samples) / SAMPLING_RATE
    return np.sin(2 * np.pi * hertz * times).astype(np.float32)


def loudest_hertz(waveform: NDArray[np.float32]) -> float:
    return float(np.abs(np.fft.rfft(waveform)).argmax()) * SAMPLING_RATE / len(waveform)


def test_the_defaults_change_nothing() -> None:
    waveform = tone(200.0, 1600)
    rng = np.random.default_rng(0)
    assert augment(waveform, Augmentation(), rng) is waveform


def test_augmentation_draws_anew_and_leaves_the_original_alone() -> None:
    waveform = tone(200.0, 1600)
    before = waveform.copy()
    settings = Augmentation(speed=(0.8, 1.2), noise_decibels=(10.0, 20.0))
    rng = np.random.default_rng(0)
    first, second = augment(waveform, settings, rng), augment(waveform, settings, rng)
    assert len(first) != len(second)
    assert first.dtype == np.float32
    assert np.array_equal(waveform, before)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_speed_moves_length_and_pitch(factor: float) -> None:
    changed = change_speed(tone(400.0, SAMPLING_RATE), factor)
    assert len(changed) == round(SAMPLING_RATE / factor)
    assert loudest_hertz(changed) == pytest.approx(400.0 * factor, abs=2.0)


def test_noise_has_the_level_asked_for() -> None:
    waveform = tone(400.0, 4 * SAMPLING_RATE)
    noise = add_noise(waveform, 20.0, np.random.default_rng(0)) - waveform
    assert 20 * np.log10(waveform.std() / noise.std()) == pytest.approx(20.0, abs=0.2)


def test_crops_reach_both_ends() -> None:
    waveform = np.arange(16_010, dtype=np.int16)
    rng = np.random.default_rng(0)
    bounds = [random_crop(len(waveform), 1.0, rng) for _ in range(200)]
    crops = [waveform[start:end] for start, end in bounds]
    assert {len(crop) for crop in crops} == {16_000}
    assert {int(crop[0]) for crop in crops} == set(range(11))


def test_a_short_waveform_is_kept_whole() -> None:
    waveform = np.arange(100, dtype=np.int16)
    bounds = random_crop(len(waveform), 1.0, np.random.default_rng(0))
    assert bounds == (0, len(waveform))


@given(waveforms, st.floats(-60.0, 60.0))
def test_gain_stays_within_full_scale(waveform: NDArray[np.float32], decibels: float) -> None:
    changed = change_gain(waveform, decibels)
    wanted = waveform * np.float32(10 ** (decibels / 20))
    assert changed.dtype == np.float32
    assert np.abs(changed).max() <= 1.0
    free = np.abs(wanted) <= 1.0
    assert np.array_equal(changed[free], wanted[free])
    assert np.array_equal(changed[~free], np.sign(waveform[~free]))


def test_six_decibels_are_twice_the_level_and_loud_peaks_clip() -> None:
    changed = change_gain(tone(200.0, 1600), 20 * np.log10(2))
    assert change_gain(np.array([0.1], np.float32), 20.0)[0] == pytest.approx(1.0)
    assert np.mean(np.abs(changed) == 1.0) == pytest.approx(2 / 3, abs=0.02)  # |sin| > 1/2


@given(st.floats(-20.0, 20.0), st.integers(0, 100))
def test_normalisation_undoes_a_gain_that_does_not_clip(decibels: float, seed: int) -> None:
    waveform = np.random.default_rng(seed).uniform(-0.09, 0.09, 800).astype(np.float32)
    changed = normalise(change_gain(waveform, decibels))
    assert changed == pytest.approx(normalise(waveform), abs=5e-3)  # of a variance beside 1e-7


@given(waveforms, st.floats(-0.05, 0.05))
def test_a_shift_moves_and_leaves_zeros(waveform: NDArray[np.float32], seconds: float) -> None:
    shifted = shift(waveform, seconds)
    moved = min(len(waveform), round(abs(seconds) * SAMPLING_RATE))
    kept = len(waveform) - moved
    assert shifted.dtype == np.float32
    assert len(shifted) == len(waveform)
    if seconds >= 0:
        assert np.array_equal(shifted[moved:], waveform[:kept])
        assert not shifted[:moved].any()
    else:
        assert np.array_equal(shifted[:kept], waveform[moved:])
        assert not shifted[kept:].any()


@given(waveforms, st.floats(0.25, 4.0))
def test_another_speed_stays_between_the_samples(
    waveform: NDArray[np.float32], factor: float
) -> None:
    changed = change_speed(waveform, factor)
    assert len(changed) == max(1, round(len(waveform) / factor))
    assert changed.dtype == np.float32
    assert changed[0] == waveform[0]
    assert waveform.min() <= changed.min()
    assert changed.max() <= waveform.max()


@given(waveforms, st.integers(0, 1000))
def test_all_changes_together_are_finite_and_drawn_from_the_generator_alone(
    waveform: NDArray[np.float32], seed: int
) -> None:
    settings = Augmentation((0.9, 1.1), 0.01, 6.0, (-12.0, 12.0), (10.0, 30.0))
    before = waveform.copy()
    first = augment(waveform, settings, np.random.default_rng(seed))
    second = augment(waveform, settings, np.random.default_rng(seed))
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)
    assert np.array_equal(waveform, before)
    assert round(len(waveform) / 1.1) <= len(first) <= round(len(waveform) / 0.9)


def test_shifts_go_both_ways_and_as_far_as_asked() -> None:
    click = np.zeros(1600, np.float32)
    click[800] = 1.0
    rng = np.random.default_rng(0)
    settings = Augmentation(shift_seconds=0.01)
    places = {int(augment(click, settings, rng).argmax()) - 800 for _ in range(2000)}
    assert min(places) == -160
    assert max(places) == 160


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("speed", (1.2, 0.8)),
        ("speed", (0.0, 1.0)),
        ("speed", (1.0, 9.0)),
        ("shift_seconds", -0.1),
        ("shift_seconds", float("inf")),
        ("gain_decibels", (6.0, -6.0)),
        ("noise_decibels", (30.0, 20.0)),
    ],
)
def test_ranges_that_make_no_sense_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{field} is"):
        Augmentation(**{field: value})


@given(hertz=st.floats(100, 7900), decibels=st.floats(-12, 12))
def test_an_equaliser_of_one_level_is_a_gain(hertz: float, decibels: float) -> None:
    waveform = np.sin(2 * np.pi * hertz * np.arange(4000) / 16_000).astype(np.float32)
    changed = equalise(waveform, np.full(EQUALISER_KNOTS, decibels))
    assert changed.dtype == np.float32
    assert changed == pytest.approx(waveform * 10 ** (decibels / 20), abs=1e-4)


def test_an_equaliser_raises_what_it_should_without_delay() -> None:
    times = np.arange(8000) / 16_000
    low, high = (np.sin(2 * np.pi * hertz * times) for hertz in (300, 6000))
    rising = np.linspace(-10, 10, EQUALISER_KNOTS)
    changed = equalise((low + high).astype(np.float32), rising)[200:-200]
    assert np.dot(changed, low[200:-200]) < 0.6 * np.dot(low[200:-200], low[200:-200])
    assert np.dot(changed, high[200:-200]) > 1.5 * np.dot(high[200:-200], high[200:-200])
