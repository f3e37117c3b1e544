"""Low-level descriptors of a voice: loudness, pitch, and the shape of the spectrum, by frame."""

from __future__ import annotations

import numpy as np

from emi_model.arrays import Doubles
from emi_model.audio.features.frames import hann, over_frames
from emi_model.audio.features.mfcc import FFT_SIZE, MFCC_WINDOW, cepstra
from emi_model.audio.features.pitch import pitch
from emi_model.audio.waveform import FLOOR_DBFS, Int16Waveform, Waveform
from emi_model.units import SAMPLING_RATE

DESCRIPTORS = (
    "loudness",
    "zero_crossings",
    "centroid",
    "spread",
    "rolloff",
    "flatness",
    "alpha_ratio",
    "hammarberg",
    "slope_low",
    "slope_high",
    "change",
    "mfcc_1",
    "mfcc_2",
    "mfcc_3",
    "mfcc_4",
    "harmonicity",
    "pitch",
)
"""What `descriptors` measures, in its order; their units stand there."""

SEMITONES_FROM = 27.5
"""Hz of 0 semitones."""

_FLOOR = 1e-10
_ROLLOFF = 0.85


def descriptors(waveform: Int16Waveform | Waveform) -> Doubles:
    """Return the `DESCRIPTORS` of each frame, (F, 17); pitch is NaN where there is none.

    - ``loudness``: root mean square, dB relative to full scale, from -100.
    - ``zero_crossings``: share of samples at which the sign changes.
    - ``centroid``, ``spread``: mean and standard deviation of the power over frequency, kHz;
      ``rolloff``: below it lie 85 % of the power, kHz.
    - ``flatness``: geometric over arithmetic mean of the power, dB.
    - ``alpha_ratio``: power from 50 to 1000 Hz over that from 1 to 5 kHz, dB; ``hammarberg``: the
      highest peak below 2 kHz over that from 2 to 5 kHz, dB; ``slope_low``, ``slope_high``: of the
      spectrum from 0 to 500 and from 500 to 1500 Hz, dB a kHz. After Eyben et al. 2016, the Geneva
      minimalistic acoustic parameter set, IEEE TAC 7(2).
    - ``change``: distance of MFCC 1 to 12 from those of the frame before.
    - ``mfcc_1`` to ``mfcc_4``: see `emi_model.audio.features.mfcc.cepstra`.
    - ``harmonicity``, ``pitch``: see `emi_model.audio.features.pitch`; pitch in semitones above
      27.5 Hz.

    Args:
        waveform: (samples,), int16 or float in [-1, 1], 16 kHz, one sample or more.

    Raises:
        AudioError: no sample, or an array of another kind.
    """
    coefficients = cepstra(waveform)
    steps = np.linalg.norm(
        np.diff(coefficients[:, 1:], axis=0, prepend=coefficients[:1, 1:]), axis=1
    )
    hertz, harmonicity = pitch(waveform)
    found = [
        over_frames(waveform, MFCC_WINDOW, _shapes),
        steps[:, None],
        coefficients[:, 1:5],
        harmonicity[:, None],
        12 * np.log2(hertz / SEMITONES_FROM)[:, None],
    ]
    return np.concatenate(found, axis=1)


def _shapes(windows: Doubles) -> Doubles:
    """Return the first ten descriptors (n, 10) of windows."""
    energy = np.square(windows).mean(axis=1)
    positive = windows > 0
    crossings = (positive[:, 1:] != positive[:, :-1]).mean(axis=1)
    power = np.square(np.abs(np.fft.rfft(windows * hann(MFCC_WINDOW), FFT_SIZE))) + _FLOOR
    frequency = np.arange(power.shape[1]) * SAMPLING_RATE / FFT_SIZE / 1000
    shares = power / power.sum(axis=1, keepdims=True)
    centroid = shares @ frequency
    spread = np.sqrt((shares @ np.square(frequency) - np.square(centroid)).clip(min=0))
    rolloff = frequency[(shares.cumsum(axis=1) < _ROLLOFF).sum(axis=1)]
    level = 10 * np.log10(power)
    flatness = level.mean(axis=1) - 10 * np.log10(power.mean(axis=1))
    low, high = _within(frequency, 0.05, 1.0), _within(frequency, 1.0, 5.0)
    alpha = 10 * np.log10(power[:, low].sum(axis=1) / power[:, high].sum(axis=1))
    below, above = _within(frequency, 0.0, 2.0), _within(frequency, 2.0, 5.0)
    hammarberg = level[:, below].max(axis=1) - level[:, above].max(axis=1)
    return np.stack(
        [
            10 * np.log10(energy.clip(min=10 ** (FLOOR_DBFS / 10))),
            crossings,
            centroid,
            spread,
            rolloff,
            flatness,
            alpha,
            hammarberg,
            _slope(level, frequency, _within(frequency, 0.0, 0.5)),
            _slope(level, frequency, _within(frequency, 0.5, 1.5)),
        ],
        axis=1,
    )


def _within(frequency: Doubles, low: float, high: float) -> slice:
    """Return the bins of ``[low, high)`` kHz."""
    first, behind = np.searchsorted(frequency, [low, high])
    return slice(int(first), int(behind))


def _slope(level: Doubles, frequency: Doubles, bins: slice) -> Doubles:
    """Return the slope of a straight line through some bins, (n,)."""
    apart = frequency[bins] - frequency[bins].mean()
    found: Doubles = level[:, bins] @ apart / np.square(apart).sum()
    return found
