"""Mel-frequency cepstral coefficients and how they change, 100 frames a second."""

from __future__ import annotations

from functools import cache

import numpy as np

from emi_model.arrays import Doubles, Floats
from emi_model.audio.features.frames import hann, mel_filters, over_frames
from emi_model.audio.waveform import Int16Waveform, Waveform

NUM_CEPSTRA = 13
"""Coefficients 0 to 12."""

NUM_MFCC = 3 * NUM_CEPSTRA
"""Values of a frame: the coefficients, their slopes, the slopes of these."""

MFCC_WINDOW = 400
"""Samples of a window, 25 ms."""

FFT_SIZE = 512
NUM_BANDS, LOWEST, HIGHEST = 26, 20.0, 8000.0
PREEMPHASIS = 0.97

FLOOR = 1e-10
"""Band power below this counts as this: digital silence has no logarithm."""

_REACH = 2


def mfcc(waveform: Int16Waveform | Waveform) -> Floats:
    """Return 13 MFCC, their slopes and the slopes of those, float32 (F, 39).

    Args:
        waveform: (samples,), int16 or float in [-1, 1], 16 kHz, one sample or more.

    Raises:
        AudioError: no sample, or an array of another kind.
    """
    found = cepstra(waveform)
    first = slopes(found)
    return np.concatenate([found, first, slopes(first)], axis=1).astype(np.float32)


def cepstra(waveform: Int16Waveform | Waveform) -> Doubles:
    """Return MFCC 0 to 12 of each frame, (F, 13).

    The orthonormal DCT-II of the natural logarithm of 26 mel bands, 20 to 8000 Hz, of the power
    spectrum of a pre-emphasised 25 ms Hann window (Davis and Mermelstein 1980, IEEE TASSP 28(4)).

    Args:
        waveform: as for `mfcc`.
    """
    return over_frames(waveform, MFCC_WINDOW, _cepstra)


def slopes(values: Doubles) -> Doubles:
    """Return the slope of each value a frame, (F, D): a straight line through five frames.

    ``sum over k = 1, 2 of k (x[i + k] - x[i - k]) / 10``; frames beyond the ends repeat the last
    (Young et al., the HTK book).
    """
    padded = np.pad(values, ((_REACH, _REACH), (0, 0)), mode="edge")
    steps = range(1, _REACH + 1)
    behind = len(padded) - _REACH
    rises = [k * (padded[_REACH + k : behind + k] - padded[_REACH - k : behind - k]) for k in steps]
    found: Doubles = np.sum(rises, axis=0) / (2 * sum(k * k for k in steps))
    return found


def _cepstra(windows: Doubles) -> Doubles:
    changes = windows.copy()
    changes[:, 1:] -= PREEMPHASIS * windows[:, :-1]
    changes[:, 0] *= 1 - PREEMPHASIS
    power = np.square(np.abs(np.fft.rfft(changes * hann(MFCC_WINDOW), FFT_SIZE)))
    bands = power @ mel_filters(NUM_BANDS, FFT_SIZE, LOWEST, HIGHEST)
    found: Doubles = np.log(bands.clip(min=FLOOR)) @ _cosines(NUM_BANDS, NUM_CEPSTRA)
    return found


@cache
def _cosines(num_bands: int, num_cepstra: int) -> Doubles:
    """Return the orthonormal DCT-II as a matrix, (num_bands, num_cepstra)."""
    places = np.pi * (np.arange(num_bands) + 0.5) / num_bands
    found: Doubles = np.cos(places[:, None] * np.arange(num_cepstra)) * np.sqrt(2 / num_bands)
    found[:, 0] /= np.sqrt(2)
    return found
