"""Pitch of tones, chirps and voices whose pitch is given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emi_model.audio.pitch import frame_pitches
from emi_model.units import SAMPLING_RATE

SECONDS = np.arange(SAMPLING_RATE) / SAMPLING_RATE


def int16(samples, peak=8_000):
    return (samples / np.abs(samples).max() * peak).astype(np.int16)


def harmonics(hertz, weights, phases=None):
    phases = np.zeros(len(weights)) if phases is None else phases
    return sum(
        weight * np.sin(2 * np.pi * hertz * number * SECONDS + phase)
        for number, (weight, phase) in enumerate(zip(weights, phases, strict=True), start=1)
    )


@settings(max_examples=40)
@given(
    hertz=st.floats(65, 480),
    weights=st.lists(st.floats(0.1, 1.0), min_size=3, max_size=8),
    seed=st.integers(0, 99),
)
def test_a_voices_pitch_is_found_to_one_percent(hertz, weights, seed):
    rng = np.random.default_rng(seed)
    voice = harmonics(hertz, [1.0, *weights], rng.uniform(0, 2 * np.pi, len(weights) + 1))
    found = frame_pitches(int16(voice + 0.01 * rng.normal(size=len(voice))))
    inner = found[3:-3]
    assert np.isfinite(inner).mean() > 0.9
    assert np.nanmedian(inner) == pytest.approx(hertz, rel=0.01)


@pytest.mark.parametrize("hertz", [60.5, 100, 150.3, 220, 333, 440, 499])
def test_a_pure_tone_is_exact_in_every_frame(hertz):
    found = frame_pitches(int16(np.sin(2 * np.pi * hertz * SECONDS)))[3:-3]
    assert found == pytest.approx(np.full(len(found), hertz), rel=0.003)


def test_a_voice_without_its_fundamental_keeps_its_pitch():
    found = frame_pitches(int16(harmonics(130, [0, 1, 1, 1, 0.5])))[3:-3]
    assert found == pytest.approx(np.full(len(found), 130), rel=0.01)


@pytest.mark.parametrize(
    "samples",
    [
        np.sin(2 * np.pi * 900 * SECONDS),  # above every voice: not read as a part of it
        np.sin(2 * np.pi * 30 * SECONDS),
        np.random.default_rng(0).normal(size=SAMPLING_RATE),
    ],
)
def test_what_is_no_voice_has_no_pitch(samples):
    assert np.isfinite(frame_pitches(int16(samples))).mean() < 0.02


@pytest.mark.parametrize("num_samples", [0, 1, 319, 320, 321, 2_000])
def test_silence_and_few_samples_have_no_pitch(num_samples):
    found = frame_pitches(np.zeros(num_samples, np.int16))
    assert len(found) == -(-num_samples // 320)
    assert np.isnan(found).all()


def test_a_rising_pitch_is_followed():
    rising = np.sin(2 * np.pi * (120 * SECONDS + 60 * SECONDS**2))
    found = frame_pitches(int16(rising))
    times = np.arange(len(found)) * 0.02
    assert found[4:-4] == pytest.approx(120 + 120 * times[4:-4], rel=0.03)


def test_a_long_waveform_is_measured_as_in_pieces():
    tone = int16(np.sin(2 * np.pi * 200 * np.arange(41 * SAMPLING_RATE) / SAMPLING_RATE))
    found = frame_pitches(tone)
    assert len(found) == 41 * 50
    assert found[3:-3] == pytest.approx(np.full(len(found) - 6, 200), rel=0.003)
