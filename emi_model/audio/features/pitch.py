"""The pitch of a voice, and how much of the sound repeats itself, 100 frames a second.

`emi_model.audio.pitch` gives the pitch alone, every 20 ms, and only where it is sure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emi_model.arrays import Doubles
from emi_model.audio.features.frames import hann, over_frames
from emi_model.audio.waveform import SILENCE_DBFS, Int16Waveform, Waveform
from emi_model.units import SAMPLING_RATE

LOWEST_PITCH, HIGHEST_PITCH = 75.0, 500.0
"""Hz, between which a pitch is looked for."""

VOICED_HARMONICITY = 0.45
"""A frame of at least this harmonicity has a pitch."""

OCTAVE_COST = 0.02
"""What a candidate's harmonicity loses for each octave below the highest pitch."""

PITCH_WINDOW = 640
"""Samples of a window, 40 ms: three periods of the lowest pitch."""

_FFT_SIZE = 2048


class Pitch(NamedTuple):
    """Pitch of F frames.

    Attributes:
        hertz: (F,), NaN where the sound has no pitch.
        harmonicity: (F,), in [0, 1], the share of the power that repeats itself at the pitch.
    """

    hertz: Doubles
    harmonicity: Doubles


def pitch(waveform: Int16Waveform | Waveform) -> Pitch:
    """Return the pitch of each frame, by the autocorrelation of a 40 ms window.

    The window's autocorrelation divided by that of the Hann window alone; the highest peak, with a
    parabola through it, is the period (Boersma 1993, IFA Proceedings 17), each frame by itself.

    Args:
        waveform: (samples,), int16 or float in [-1, 1], 16 kHz, one sample or more.

    Raises:
        AudioError: no sample, or an array of another kind.
    """
    found = over_frames(waveform, PITCH_WINDOW, _measured)
    return Pitch(found[:, 0], found[:, 1])


def _measured(windows: Doubles) -> Doubles:
    """Return hertz and harmonicity (n, 2) of windows."""
    loud = np.sqrt(np.square(windows).mean(axis=1)) > 10 ** (SILENCE_DBFS / 20)
    shape = hann(PITCH_WINDOW)
    correlation = _autocorrelation((windows - windows.mean(axis=1, keepdims=True)) * shape)
    correlation = correlation / correlation[:, :1].clip(min=1e-12)
    own = _autocorrelation(shape[None])
    shortest = int(SAMPLING_RATE / HIGHEST_PITCH)
    longest = int(SAMPLING_RATE / LOWEST_PITCH)
    lags = np.arange(shortest - 1, longest + 2)
    values = correlation[:, lags] / (own / own[:, :1])[:, lags]
    peaks = (values[:, 1:-1] > values[:, :-2]) & (values[:, 1:-1] >= values[:, 2:])
    costs = OCTAVE_COST * np.log2(lags[1:-1] / shortest)
    best = np.where(peaks, values[:, 1:-1] - costs, -np.inf).argmax(axis=1)
    row = np.arange(len(windows))
    left, top, right = (values[row, best + step] for step in (0, 1, 2))
    bend = 2 * top - left - right
    shift = 0.5 * (right - left) / np.where(bend > 0, bend, np.inf)
    height = (top + 0.25 * (right - left) * shift).clip(0, 1)
    harmonicity = np.where(loud & peaks.any(axis=1), height, 0.0)
    hertz = SAMPLING_RATE / (lags[best + 1] + shift)
    return np.stack(
        [np.where(harmonicity >= VOICED_HARMONICITY, hertz, np.nan), harmonicity], axis=1
    )


def _autocorrelation(windows: Doubles) -> Doubles:
    power = np.square(np.abs(np.fft.rfft(windows, _FFT_SIZE)))
    found: Doubles = np.fft.irfft(power)[:, :PITCH_WINDOW]
    return found
