"""Clips of noise whose durations are distributed as in the challenge.

The clips of the EMI challenge last 6.9 s on average, nineteen of twenty under 11.5 s. A log-normal
distribution has both; durations are cut at the 12 s of the model's window, as in scoring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from emi_model.arrays import Doubles
from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import ConfigError
from emi_model.units import CLIP_SECONDS, INT16_FULL_SCALE, SAMPLING_RATE, seconds_to_samples

MEAN_SECONDS = 6.9
PERCENTILE_95_SECONDS = 11.5

SHORTEST_NOISE_SECONDS = 0.1

Z_95 = NormalDist().inv_cdf(0.95)
"""Standard deviations above the mean of a normal distribution of which 5 % lie beyond."""

NOISE_LEVEL = 0.1
SYLLABLES_PER_SECOND = 4.0
NOISE_SECONDS = 30.0


def log_normal(mean: float, percentile_95: float) -> tuple[float, float]:
    """Return mu and sigma, mean and deviation of the logarithm, of a log-normal distribution.

    From ``mean = exp(mu + sigma^2 / 2)`` and ``percentile_95 = exp(mu + z sigma)``; of the two
    solutions for sigma the smaller.

    Args:
        mean: above 0.
        percentile_95: at least the mean, and at most 3.87 times as much, the largest possible.

    Raises:
        ConfigError: no log-normal distribution has these.
    """
    spread = math.log(percentile_95 / mean) if mean > 0 and percentile_95 > 0 else -1.0
    inner = Z_95**2 - 2 * spread
    if spread < 0 or inner < 0:
        raise ConfigError(
            f"found mean {mean:g} and 95th percentile {percentile_95:g}, expected a mean above 0 "
            f"and a percentile from 1 to {math.exp(Z_95**2 / 2):.2f} times as large"
        )
    sigma = Z_95 - math.sqrt(inner)
    return math.log(mean) - sigma**2 / 2, sigma


def draw_seconds(num_clips: int, seed: int | Sequence[int] = 0) -> Doubles:
    """Return durations (num_clips,) in seconds, drawn at random, [0.1, 12]."""
    drawn = np.random.default_rng(seed).lognormal(
        *log_normal(MEAN_SECONDS, PERCENTILE_95_SECONDS), size=num_clips
    )
    return np.clip(drawn, SHORTEST_NOISE_SECONDS, CLIP_SECONDS)


def typical_seconds(num_clips: int) -> Doubles:
    """Return durations (num_clips,) that represent all: quantiles at equal distances, ascending."""
    mu, sigma = log_normal(MEAN_SECONDS, PERCENTILE_95_SECONDS)
    normal = NormalDist(mu, sigma)
    quantiles = [normal.inv_cdf((index + 0.5) / num_clips) for index in range(num_clips)]
    return np.clip(np.exp(quantiles), SHORTEST_NOISE_SECONDS, CLIP_SECONDS)


def noise_waveforms(seconds: Sequence[float] | Doubles, seed: int = 0) -> list[Int16Waveform]:
    """Return int16 waveforms (samples,), 16 kHz mono, one a duration: noise in syllables.

    No two are equal: a results store would take equal ones for the same clip.
    """
    rng = np.random.default_rng(seed)
    num_noise = seconds_to_samples(NOISE_SECONDS)
    times = np.arange(num_noise) / SAMPLING_RATE
    envelope = np.sin(np.pi * SYLLABLES_PER_SECOND * times) ** 2 + 0.05
    noise = NOISE_LEVEL * envelope * rng.standard_normal(num_noise)
    stretch = np.clip(noise * INT16_FULL_SCALE, -INT16_FULL_SCALE, INT16_FULL_SCALE - 1)
    samples = stretch.astype(np.int16)
    lengths = [seconds_to_samples(float(each)) for each in seconds]
    starts = rng.integers(0, num_noise, len(lengths))
    return [
        np.resize(np.roll(samples, -int(start)), length)
        if length > num_noise
        else np.take(samples, np.arange(start, start + length), mode="wrap")
        for start, length in zip(starts, lengths, strict=True)
    ]
