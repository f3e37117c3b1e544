"""Physical units and the one rounding rule between seconds and samples."""

from __future__ import annotations

SAMPLING_RATE = 16_000
"""Hz. Every waveform in this project is 16 kHz mono."""

INT16_FULL_SCALE = 32_768
"""An int16 sample divided by this lies in [-1, 1)."""

CLIP_SECONDS = 12.0
"""Seconds of a clip that the paper's model takes (Hallmen et al. 2024, section 3)."""


def seconds_to_samples(seconds: float, sampling_rate: int = SAMPLING_RATE) -> int:
    """Return the nearest whole number of samples (half up) for a duration in seconds."""
    return int(seconds * sampling_rate + 0.5)


def samples_to_seconds(num_samples: int, sampling_rate: int = SAMPLING_RATE) -> float:
    """Return the duration in seconds of ``num_samples`` samples."""
    return num_samples / sampling_rate
