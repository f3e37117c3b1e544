"""Functionals: statistics of descriptors over each second, and the rhythm of the voice."""

from __future__ import annotations

import numpy as np

from emi_model.arrays import Doubles, Floats
from emi_model.audio.features.descriptors import DESCRIPTORS, descriptors
from emi_model.audio.features.frames import SOUND_FRAMES_PER_SECOND, stretches
from emi_model.audio.waveform import Int16Waveform, Waveform

STATISTICS = ("mean", "deviation", "low", "median", "high", "movement")
"""Statistics of a descriptor over a stretch, in the order of `functionals`."""

RHYTHM = ("voiced_share", "voiced_stretches", "voiced_seconds", "loudness_peaks")

FUNCTIONALS = (*(f"{name}_{kind}" for name in DESCRIPTORS for kind in STATISTICS), *RHYTHM)
"""Names of the values of an entry, in their order."""

_LOW, _HIGH = 20, 80


def functionals(waveform: Int16Waveform | Waveform) -> Floats:
    """Return the `FUNCTIONALS` of each second, every half second: float32 (N, 106).

    Of each descriptor: mean, standard deviation, 20th percentile, median, 80th percentile, and the
    mean absolute step from frame to frame. Those of pitch are over the frames that have one, and
    NaN where fewer than two have. Then the share of frames with pitch, stretches of them a second,
    their mean length in seconds, and peaks of loudness a second.

    Args:
        waveform: (samples,), int16 or float in [-1, 1], 16 kHz, one sample or more.

    Raises:
        AudioError: no sample, or an array of another kind.
    """
    values = descriptors(waveform)
    found = [_of_stretch(values[stretch]) for stretch in stretches(len(values))]
    return np.stack(found).astype(np.float32)


def _of_stretch(values: Doubles) -> Doubles:
    measured, heights = values[:, :-1], values[:, -1]
    voiced = np.isfinite(heights)
    of_pitch = np.full((len(STATISTICS), 1), np.nan)
    if voiced.sum() >= 2:
        of_pitch = _statistics(heights[voiced, None])
    by_descriptor = np.concatenate([_statistics(measured), of_pitch], axis=1)
    return np.concatenate([by_descriptor.T.ravel(), _rhythm(voiced, values[:, 0])])


def _statistics(values: Doubles) -> Doubles:
    """Return (6, D) of values (n, D)."""
    steps = np.abs(np.diff(values, axis=0))
    return np.stack(
        [
            values.mean(axis=0),
            values.std(axis=0),
            *np.percentile(values, [_LOW, 50, _HIGH], axis=0),
            steps.mean(axis=0) if len(steps) else np.zeros(values.shape[1]),
        ]
    )


def _rhythm(voiced: Doubles, loudness: Doubles) -> Doubles:
    seconds = len(voiced) / SOUND_FRAMES_PER_SECOND
    num_stretches = int((np.diff(voiced.astype(int), prepend=0) == 1).sum())
    inner = loudness[1:-1]
    peaks = (inner > loudness[:-2]) & (inner >= loudness[2:])
    return np.array(
        [
            voiced.mean(),
            num_stretches / seconds,
            voiced.sum() / SOUND_FRAMES_PER_SECOND / max(1, num_stretches),
            peaks.sum() / seconds,
        ]
    )
