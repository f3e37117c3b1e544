"""A clip's waveform: its normalisation for the model, its levels for the results table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emi_model.errors import AudioError
from emi_model.units import INT16_FULL_SCALE, SAMPLING_RATE, seconds_to_samples

Waveform = NDArray[np.float32]
Int16Waveform = NDArray[np.int16]

NORMALISATION_EPSILON = 1e-7
"""Added to the variance, as the public model's feature extractor does."""

FLOOR_DBFS = -100.0
"""Lower levels are reported as this: an int16 step is -90.3 dBFS, digital silence has no level."""

SILENCE_DBFS = -60.0
"""Below this RMS level a stretch counts as silent."""

LEVEL_SECONDS = 0.02
"""Length of the stretches that `silent_fraction` counts: one frame of the backbone."""


@dataclass(frozen=True)
class Levels:
    """Levels of one waveform.

    Attributes:
        rms_dbfs: root mean square over the waveform, dB relative to full scale, [-100, 0].
        peak_dbfs: largest absolute sample, dB relative to full scale, [-100, 0].
        silent_fraction: share of 20 ms stretches whose RMS lies below -60 dBFS, [0, 1].
        clipped_fraction: share of samples at full scale, [0, 1].
    """

    rms_dbfs: float
    peak_dbfs: float
    silent_fraction: float
    clipped_fraction: float


def to_float(waveform: Int16Waveform) -> Waveform:
    """Return int16 samples (samples,) as float32 in [-1, 1)."""
    return waveform.astype(np.float32) / np.float32(INT16_FULL_SCALE)


def as_float(waveform: Int16Waveform | Waveform) -> Waveform:
    """Return samples (samples,) as float32; int16 ones in [-1, 1)."""
    if waveform.dtype == np.int16:
        return to_float(waveform.astype(np.int16, copy=False))
    return waveform.astype(np.float32, copy=False)


def check_waveform(waveform: Int16Waveform | Waveform) -> None:
    """Check that an array is one channel of samples, int16 or float.

    Raises:
        AudioError: it has two dimensions (stereo), or holds other numbers, or some not finite.
    """
    shape = np.shape(waveform)
    if len(shape) != 1:
        raise AudioError(
            f"found an array of shape {shape}, expected (samples,), one channel at 16 kHz: take "
            "the mean of the channels, or read the file with emi_model.audio.reading.read_waveform"
        )
    kind = waveform.dtype
    if kind != np.int16 and kind.kind != "f":
        raise AudioError(f"found samples of type {kind}, expected int16, or float in [-1, 1]")
    if kind.kind == "f" and not np.isfinite(waveform).all():
        raise AudioError("found samples that are not finite")


def normalise(waveform: Waveform) -> Waveform:
    """Return the waveform (samples,) with zero mean and unit variance, on its own samples.

    ``(x - mean) / sqrt(variance + 1e-7)``, the rule of the wav2vec2 feature extractor; statistics
    in float64. Silence stays zero.

    Raises:
        AudioError: no sample, or one that is not finite.
    """
    if waveform.size == 0:
        raise AudioError("found a waveform without samples")
    if not np.isfinite(waveform).all():
        raise AudioError("found samples that are not finite")
    mean = waveform.mean(dtype=np.float64)
    variance = waveform.var(dtype=np.float64)
    scaled = (waveform - mean) / np.sqrt(variance + NORMALISATION_EPSILON)
    return np.asarray(scaled, np.float32)


def measure_levels(waveform: Int16Waveform) -> Levels:
    """Measure an int16 waveform (samples,) of at least one sample."""
    absolute = np.abs(waveform.astype(np.int32))
    return Levels(
        rms_dbfs=rms_dbfs(waveform),
        peak_dbfs=_dbfs(float(absolute.max()) / INT16_FULL_SCALE),
        silent_fraction=_silent_fraction(waveform),
        clipped_fraction=float(np.mean(absolute >= INT16_FULL_SCALE - 1)),
    )


def rms_dbfs(waveform: Int16Waveform) -> float:
    """Return the root mean square of an int16 waveform (samples,), dB re full scale, [-100, 0]."""
    return _dbfs(_rms(waveform))


def _silent_fraction(waveform: Int16Waveform) -> float:
    stretch = seconds_to_samples(LEVEL_SECONDS, SAMPLING_RATE)
    num_whole = len(waveform) // stretch * stretch
    squares = np.square(waveform[:num_whole], dtype=np.float64).reshape(-1, stretch)
    rms = np.sqrt(squares.mean(axis=1)) / INT16_FULL_SCALE
    rest = waveform[num_whole:]
    levels = [*rms.tolist(), _rms(rest)] if len(rest) else rms.tolist()
    return sum(_dbfs(level) < SILENCE_DBFS for level in levels) / len(levels)


def _rms(waveform: Int16Waveform) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) / INT16_FULL_SCALE


def _dbfs(amplitude: float) -> float:
    return max(FLOOR_DBFS, 20 * float(np.log10(amplitude))) if amplitude > 0 else FLOOR_DBFS
