from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.units import SAMPLING_RATE
from tasks.synthetic.voice import CONTROL_SAMPLES, VOWELS, Segment, Speaker, draw_speaker, render

Floats = NDArray[np.float64]

SPEAKER = Speaker("anna", 160.0, 1.0, breathiness=0.0, tilt=0.0, tempo=1.0)
VOICED = Segment(0.5, voicing=1.0, vowels=("a", "a"))


def say(*segments: Segment, speaker: Speaker = SPEAKER) -> Floats:
    return render(speaker, segments, np.random.default_rng(0))


def spectrum(waveform: Floats) -> tuple[Floats, Floats]:
    """Return frequencies in Hz and power of the middle of a waveform."""
    middle = waveform[len(waveform) // 4 : 3 * len(waveform) // 4]
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    hertz: Floats = np.arange(len(power), dtype=np.float64) * (SAMPLING_RATE / len(middle))
    return hertz, power


def power_between(waveform: Floats, low: float, high: float) -> float:
    hertz, power = spectrum(waveform)
    return float(power[(hertz >= low) & (hertz < high)].sum())


def harmonicity(waveform: Floats) -> float:
    """Return the highest autocorrelation at lags of 2 to 15 ms, 1 for a periodic sound."""
    middle = waveform[len(waveform) // 4 : 3 * len(waveform) // 4]
    lags = np.correlate(middle, middle, mode="full")[len(middle) - 1 :]
    return float((lags[32:240] / lags[0]).max())


def test_length_is_that_of_the_segments_at_the_speakers_tempo() -> None:
    slow = replace(SPEAKER, tempo=1.5)
    assert len(say(VOICED, VOICED)) == pytest.approx(SAMPLING_RATE, abs=2 * CONTROL_SAMPLES)
    assert len(say(VOICED, speaker=slow)) == pytest.approx(12_000, abs=CONTROL_SAMPLES)


def test_one_generator_state_gives_one_waveform() -> None:
    assert np.array_equal(say(VOICED), say(VOICED))


@pytest.mark.parametrize("pitch", [90.0, 160.0, 230.0])
def test_the_harmonics_lie_on_the_pitch(pitch: float) -> None:
    speaker = replace(SPEAKER, pitch_hertz=pitch)
    waveform = say(VOICED, speaker=speaker)
    on = sum(power_between(waveform, k * pitch - 12, k * pitch + 12) for k in (1, 2, 3, 4))
    between = sum(power_between(waveform, (k + 0.4) * pitch, (k + 0.6) * pitch) for k in (1, 2, 3))
    assert on > 30 * between


@pytest.mark.parametrize("semitones", [-3.0, 7.0])
def test_semitones_shift_the_pitch(semitones: float) -> None:
    shifted = replace(SPEAKER, pitch_hertz=160.0 * 2 ** (semitones / 12))
    by_segment = say(replace(VOICED, semitones=(semitones, semitones)))
    assert by_segment == pytest.approx(say(VOICED, speaker=shifted), abs=1e-6)


def test_vowels_differ_by_their_formants() -> None:
    open_vowel = say(replace(VOICED, breath=1.0, voicing=0.0, vowels=("a", "a")))
    front_vowel = say(replace(VOICED, breath=1.0, voicing=0.0, vowels=("i", "i")))
    for waveform, vowel in ((open_vowel, "a"), (front_vowel, "i")):
        first = VOWELS[vowel][0]
        near = power_between(waveform, first - 100, first + 100)
        assert near > 0.3 * power_between(waveform, 0.0, 8000.0)


def test_voice_is_periodic_breath_and_hiss_are_not() -> None:
    assert harmonicity(say(VOICED)) > 0.8
    assert harmonicity(say(Segment(0.5, breath=1.0))) < 0.7
    hiss = say(Segment(0.5, hiss=1.0))
    assert harmonicity(hiss) < 0.7
    assert power_between(hiss, 3000.0, 6000.0) > 5 * power_between(hiss, 0.0, 3000.0)


def test_a_pressed_tilt_is_brighter_than_a_dark_one() -> None:
    pressed, dark = (say(replace(VOICED, tilt=tilt)) for tilt in (5.0, -5.0))

    def brightness(waveform: Floats) -> float:
        return power_between(waveform, 1500.0, 4000.0) / power_between(waveform, 80.0, 700.0)

    assert brightness(pressed) > 30 * brightness(dark)


def test_tremor_shakes_the_loudness() -> None:
    def unsteadiness(waveform: Floats) -> float:
        levels = np.abs(waveform[1600:-1600]).reshape(-1, 320).max(axis=1)
        return float(levels.std() / levels.mean())

    steady = replace(VOICED, seconds=1.0)
    assert unsteadiness(say(replace(steady, tremor=0.8))) > 2 * unsteadiness(say(steady))


def test_a_segment_without_sources_is_silent() -> None:
    assert not say(Segment(0.2)).any()


def test_low_and_high_voices_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    low = [draw_speaker("low", low_voice=True, rng=rng) for _ in range(20)]
    high = [draw_speaker("high", low_voice=False, rng=rng) for _ in range(20)]
    assert max(voice.pitch_hertz for voice in low) < min(voice.pitch_hertz for voice in high)
    assert max(voice.tract_scale for voice in low) < min(voice.tract_scale for voice in high)
