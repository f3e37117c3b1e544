from __future__ import annotations

import numpy as np
import pytest

from emi_model.augment import Augmentation, add_noise, augment, change_speed, random_crop
from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE


def tone(hertz: float, num_samples: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    times = np.arange(num_samples) / SAMPLING_RATE
    return np.sin(2 * np.pi * hertz * times).astype(np.float32)


def loudest_hertz(waveform: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
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
    crops = [random_crop(waveform, 1.0, rng) for _ in range(200)]
    assert {len(crop) for crop in crops} == {16_000}
    assert {int(crop[0]) for crop in crops} == set(range(11))


def test_a_short_waveform_is_kept_whole() -> None:
    waveform = np.arange(100, dtype=np.int16)
    assert random_crop(waveform, 1.0, np.random.default_rng(0)) is waveform


@pytest.mark.parametrize("speed", [(1.2, 0.8), (0.0, 1.0), (1.0, 9.0)])
def test_speeds_out_of_range_are_refused(speed: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="speed is"):
        Augmentation(speed=speed)


def test_noise_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ConfigError, match="noise_decibels"):
        Augmentation(noise_decibels=(30.0, 20.0))
