"""The pitch of a voice: YIN (de Cheveigne and Kawahara 2002, JASA 111, 1917-1930)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emi_model.arrays import Doubles
from emi_model.audio.loudness import FRAME_SAMPLES
from emi_model.audio.waveform import SILENCE_DBFS, Int16Waveform
from emi_model.units import INT16_FULL_SCALE, SAMPLING_RATE

MIN_PITCH_HZ, MAX_PITCH_HZ = 60.0, 500.0
"""What voices reach: a lower or higher period is no voice's."""

PERIODIC_BELOW = 0.15
"""Of the normalised difference between a stretch and itself a period later: 0 for a tone."""

_WINDOW = 640
"""Samples that are compared: 40 ms, more than two periods of a low voice."""

_MAX_LAG = int(SAMPLING_RATE / MIN_PITCH_HZ)
_REACH = _WINDOW + _MAX_LAG + 1
_FFT_SIZE = 2048
_FRAMES_AT_ONCE = 2_000


def frame_pitches(waveform: Int16Waveform) -> Doubles:
    """Return the pitch (F,) in Hz around the beginning of each 20 ms; NaN where there is none.

    There is none where the stretch is not periodic, quieter than -60 dBFS, or periodic beyond
    60 to 500 Hz. Frames are those of `emi_model.audio.loudness.frame_powers`.
    """
    num_frames = -(-len(waveform) // FRAME_SAMPLES)
    half = _REACH // 2
    samples = np.pad(waveform / np.float64(INT16_FULL_SCALE), (half, _REACH))
    starts = np.arange(num_frames) * FRAME_SAMPLES
    blocks = [
        _pitches(samples[starts[first : first + _FRAMES_AT_ONCE, None] + np.arange(_REACH)])
        for first in range(0, num_frames, _FRAMES_AT_ONCE)
    ]
    return np.concatenate([np.zeros(0), *blocks])


def _pitches(stretches: Doubles) -> Doubles:
    """Return the pitch (N,) of stretches (N, `_REACH`)."""
    found = np.full(len(stretches), np.nan)
    power = np.square(stretches[:, :_WINDOW]).mean(axis=1)
    differences = _normalised_differences(stretches)
    is_dip = (differences[:, :-1] < PERIODIC_BELOW) & (differences[:, :-1] <= differences[:, 1:])
    lags = np.argmax(is_dip, axis=1)
    rows = np.flatnonzero(is_dip.any(axis=1) & (power > 10 ** (SILENCE_DBFS / 10)) & (lags > 1))
    pitches = SAMPLING_RATE / _refined(differences[rows], lags[rows])
    inside = (pitches >= MIN_PITCH_HZ) & (pitches <= MAX_PITCH_HZ)
    found[rows[inside]] = pitches[inside]
    return found


def _normalised_differences(stretches: Doubles) -> Doubles:
    """Return (N, `_MAX_LAG` + 2): at each lag, equations 6 and 8 of the paper; 1 at lag 0."""
    window = stretches[:, :_WINDOW]
    spectrum = np.conj(np.fft.rfft(window, _FFT_SIZE)) * np.fft.rfft(stretches, _FFT_SIZE)
    lags = _REACH - _WINDOW + 1
    products = np.fft.irfft(spectrum, _FFT_SIZE)[:, :lags]
    sums = np.pad(np.cumsum(np.square(stretches), axis=1), ((0, 0), (1, 0)))
    energies = sums[:, _WINDOW:] - sums[:, :lags]
    differences = np.maximum(energies[:, :1] + energies - 2 * products, 0.0)
    means = np.cumsum(differences[:, 1:], axis=1) / np.arange(1, lags)
    normalised = np.ones_like(differences)
    np.divide(differences[:, 1:], means, out=normalised[:, 1:], where=means > 0)
    return np.asarray(normalised, np.float64)


def _refined(differences: Doubles, lags: NDArray[np.intp]) -> Doubles:
    """Return the lags (N,) of the parabolas' lowest points through three neighbours each."""
    rows = np.arange(len(lags))
    before, at, after = (differences[rows, lags + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.zeros_like(at)
    np.divide((before - after) / 2, bend, out=shift, where=bend > 0)
    return np.asarray(lags + np.clip(shift, -0.5, 0.5), np.float64)
