"""A waveform as short windows, 100 a second, and features a second as stretches of these."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from emi_model.arrays import Array, Doubles
from emi_model.audio.waveform import Int16Waveform, Waveform, as_float, check_waveform
from emi_model.errors import AudioError
from emi_model.units import SAMPLING_RATE

FRAME_HOP = 160
"""Samples from one frame to the next: frame i is the sound of [160 i, 160 i + 160), 10 ms."""

SOUND_FRAMES_PER_SECOND = SAMPLING_RATE / FRAME_HOP

_STRETCH_HOP, _STRETCH = 50, 100

_AT_ONCE = 1000
"""Frames of which windows are in memory together."""


def over_frames(
    waveform: Int16Waveform | Waveform, size: int, measure: Callable[[Doubles], Doubles]
) -> Doubles:
    """Return what a function gives for the window around each frame of a waveform, (F, ...).

    There are ``F = max(1, samples // 160)`` frames. The window of frame i is centred on it; where
    it reaches beyond the waveform, the waveform is mirrored.

    Args:
        waveform: (samples,), int16 or float in [-1, 1], 16 kHz, one sample or more.
        size: samples of a window, even.
        measure: from windows (n, size) in [-1, 1] to (n, ...).

    Raises:
        AudioError: no sample, or an array of another kind.
    """
    check_waveform(waveform)
    if not len(waveform):
        raise AudioError("found a waveform without samples")
    num_frames = max(1, len(waveform) // FRAME_HOP)
    before = (size - FRAME_HOP) // 2
    behind = max(0, (num_frames - 1) * FRAME_HOP + size - before - len(waveform))
    padded = np.pad(waveform, (before, behind), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::FRAME_HOP][:num_frames]
    parts = [
        measure(as_float(windows[first : first + _AT_ONCE]).astype(np.float64))
        for first in range(0, num_frames, _AT_ONCE)
    ]
    return np.concatenate(parts)


def stretches(num_frames: int) -> list[slice]:
    """Return the stretches of so many frames: a second each, a new one every half second.

    Entry i of features of stretches is the sound of the second that begins at i / 2 s.

    There are ``max(1, frames // 50)``; the last ones may be shorter, to half a second.
    """
    starts = range(0, max(1, num_frames // _STRETCH_HOP) * _STRETCH_HOP, _STRETCH_HOP)
    return [slice(start, min(start + _STRETCH, num_frames)) for start in starts]


def hann(size: int) -> Doubles:
    """Return the periodic Hann window."""
    found: Array = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return found


def mel_frequencies(count: int, low: float, high: float) -> list[float]:
    """Return frequencies in Hz from low to high, equally spaced in 2595 log10(1 + f / 700)."""
    first, last = (2595 * math.log10(1 + edge / 700) for edge in (low, high))
    mels = [first + (last - first) * place / (count - 1) for place in range(count)]
    return [700 * (10 ** (mel / 2595) - 1) for mel in mels]


@cache
def mel_filters(num_bands: int, fft_size: int, low: float, high: float) -> Doubles:
    """Return triangular filters over a power spectrum, (fft_size / 2 + 1, num_bands).

    Corners are those of `mel_frequencies`; each triangle rises from one corner to 1 at the next and
    falls to 0 at the one after it (O'Shaughnessy 1987, as in HTK).

    Args:
        num_bands: of the filterbank.
        fft_size: samples of the transform at 16 kHz.
        low: Hz, where the first triangle begins.
        high: Hz, where the last triangle ends.
    """
    corners = np.array(mel_frequencies(num_bands + 2, low, high))
    bins = np.arange(fft_size // 2 + 1)[:, None] * SAMPLING_RATE / fft_size
    widths = np.diff(corners)
    rising = (bins - corners[:-2]) / widths[:-1]
    falling = (corners[2:] - bins) / widths[1:]
    found: Doubles = np.minimum(rising, falling).clip(min=0)
    return found
