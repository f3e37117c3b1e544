from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import Wav2Vec2FeatureExtractor

from emi_model.audio.waveform import FLOOR_DBFS, Levels, measure_levels, normalise, to_float
from emi_model.errors import AudioError

INT16 = st.integers(-(2**15), 2**15 - 1)
AMPLITUDES = st.floats(2**-10, 2**10, width=32)


def sine(amplitude: float, seconds: float = 1.0) -> np.ndarray:
    """Return int16 samples of 100 Hz, whole periods."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    return np.round(amplitude * 32_767 * np.sin(2 * np.pi * 100 * time)).astype(np.int16)


def test_to_float_spans_minus_one_to_below_one() -> None:
    found = to_float(np.array([-32_768, -16_384, 0, 16_384, 32_767], np.int16))
    assert found.dtype == np.float32
    assert found[:4].tolist() == [-1.0, -0.5, 0.0, 0.5]
    assert 0.9999 < found[4] < 1


@given(st.integers(0, 2**32 - 1), st.integers(2, 5_000), AMPLITUDES, st.floats(-10, 10))
def test_normalised_has_zero_mean_and_unit_variance(
    seed: int, num_samples: int, amplitude: float, offset: float
) -> None:
    noise = np.random.default_rng(seed).uniform(-1, 1, num_samples)
    waveform = (amplitude * noise + offset).astype(np.float32)
    found = normalise(waveform)
    assert found.dtype == np.float32
    assert found.shape == (num_samples,)
    variance = waveform.var(dtype=np.float64)
    assert abs(found.mean(dtype=np.float64)) < 1e-5
    assert found.var(dtype=np.float64) == pytest.approx(variance / (variance + 1e-7), abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.25, -1.0])
def test_what_does_not_move_becomes_zero(value: float) -> None:
    assert np.array_equal(normalise(np.full(400, value, np.float32)), np.zeros(400, np.float32))


def test_normalise_is_the_public_models_feature_extractor() -> None:
    waveform = 0.1 * np.random.default_rng(0).standard_normal(8_000).astype(np.float32) + 0.02
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, sampling_rate=16_000)
    (expected,) = extractor(waveform, sampling_rate=16_000)["input_values"]
    np.testing.assert_allclose(normalise(waveform), expected, rtol=0, atol=1e-5)


def test_normalise_leaves_its_input_alone() -> None:
    waveform = np.array([1, 2, 3], np.float32)
    normalise(waveform)
    assert waveform.tolist() == [1, 2, 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(bad: float) -> None:
    waveform = np.ones(400, np.float32)
    waveform[7] = bad
    with pytest.raises(AudioError, match="not finite"):
        normalise(waveform)


def test_no_samples_are_refused() -> None:
    with pytest.raises(AudioError, match="without samples"):
        normalise(np.zeros(0, np.float32))


def test_levels_of_a_sine() -> None:
    levels = measure_levels(sine(0.5))
    assert levels.peak_dbfs == pytest.approx(20 * np.log10(0.5), abs=1e-3)
    assert levels.rms_dbfs == pytest.approx(20 * np.log10(0.5 / 2**0.5), abs=1e-3)
    assert (levels.silent_fraction, levels.clipped_fraction) == (0, 0)


def test_levels_of_silence() -> None:
    silence = Levels(FLOOR_DBFS, FLOOR_DBFS, silent_fraction=1, clipped_fraction=0)
    assert measure_levels(np.zeros(1_000, np.int16)) == silence
    assert measure_levels(np.zeros(1, np.int16)) == silence


def test_levels_of_a_full_scale_square() -> None:
    square = np.tile(np.array([32_767, -32_768], np.int16), 800)
    levels = measure_levels(square)
    assert levels.rms_dbfs == pytest.approx(0, abs=1e-3)
    assert levels.peak_dbfs == 0  # the lowest int16 has no positive twin
    assert (levels.silent_fraction, levels.clipped_fraction) == (0, 1)


def test_level_of_one_step() -> None:
    assert measure_levels(np.ones(100, np.int16)).rms_dbfs == pytest.approx(-90.3, abs=0.01)


def test_silent_fraction_counts_stretches_of_20_ms() -> None:
    half = np.concatenate([sine(0.5, 0.4), np.zeros(6_400, np.int16)])
    assert measure_levels(half).silent_fraction == 0.5
    with_rest = np.concatenate([half, np.zeros(1, np.int16)])  # 41 stretches, the last of 1 sample
    assert measure_levels(with_rest).silent_fraction == pytest.approx(21 / 41)


def test_clipped_fraction_counts_samples() -> None:
    waveform = np.zeros(100, np.int16)
    waveform[:5], waveform[5:10], waveform[10] = 32_767, -32_768, 32_766
    assert measure_levels(waveform).clipped_fraction == pytest.approx(0.1)


@given(st.lists(INT16, min_size=1, max_size=700))
def test_levels_stay_in_range(samples: list[int]) -> None:
    levels = measure_levels(np.array(samples, np.int16))
    assert FLOOR_DBFS <= levels.rms_dbfs <= levels.peak_dbfs + 1e-9 <= 1e-9
    assert 0 <= levels.silent_fraction <= 1
    assert 0 <= levels.clipped_fraction <= 1
