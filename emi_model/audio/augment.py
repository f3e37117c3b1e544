"""Random changes of waveforms, so that training learns more from a small corpus."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emi_model.audio.waveform import Waveform
from emi_model.errors import ConfigError
from emi_model.units import seconds_to_samples

EQUALISER_KNOTS = 8
"""Points that define an equaliser's curve."""

EQUALISER_TAPS = 129
"""Length of its filter, which resolves 125 Hz."""


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which every clip gets new values in every epoch; the defaults change nothing.

    Attributes:
        speed: lowest and highest factor on the speed, by resampling: tempo, pitch and formants
            move together, as if another voice spoke.
        shift_seconds: the waveform moves by up to this to either side; what moves out is lost,
            zeros fill the other end.
        equaliser_decibels: frequencies are raised or lowered by up to this, dB, by a curve through
            `EQUALISER_KNOTS` random points: another microphone, another room, another voice.
        gain_decibels: lowest and highest gain, dB; samples clip at full scale, as in a recorder.
            The model normalises every clip, so gain without clipping changes nothing.
        noise_decibels: lowest and highest signal-to-noise ratio of added white noise, dB;
            None adds none.
    """

    speed: tuple[float, float] = (1.0, 1.0)
    shift_seconds: float = 0.0
    equaliser_decibels: float = 0.0
    gain_decibels: tuple[float, float] = (0.0, 0.0)
    noise_decibels: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.25 <= self.speed[0] <= self.speed[1] <= 4.0:
            raise ConfigError(f"speed is {self.speed}, expected low <= high within [0.25, 4]")
        if not 0.0 <= self.shift_seconds < math.inf:
            raise ConfigError(f"shift_seconds is {self.shift_seconds}, expected 0 or more")
        if not 0.0 <= self.equaliser_decibels < math.inf:
            raise ConfigError(
                f"equaliser_decibels is {self.equaliser_decibels}, expected 0 or more"
            )
        if self.gain_decibels[0] > self.gain_decibels[1]:
            raise ConfigError(f"gain_decibels is {self.gain_decibels}, expected low <= high")
        if self.noise_decibels is not None and self.noise_decibels[0] > self.noise_decibels[1]:
            raise ConfigError(f"noise_decibels is {self.noise_decibels}, expected low <= high")


def augment(waveform: Waveform, settings: Augmentation, rng: np.random.Generator) -> Waveform:
    """Return a changed copy of a waveform (samples,), or the waveform itself if nothing changes."""
    if settings.speed != (1.0, 1.0):
        waveform = change_speed(waveform, float(rng.uniform(*settings.speed)))
    if settings.shift_seconds:
        waveform = shift(waveform, float(rng.uniform(-1.0, 1.0)) * settings.shift_seconds)
    if settings.equaliser_decibels:
        limits = (-settings.equaliser_decibels, settings.equaliser_decibels)
        waveform = equalise(waveform, rng.uniform(*limits, EQUALISER_KNOTS))
    if settings.gain_decibels != (0.0, 0.0):
        waveform = change_gain(waveform, float(rng.uniform(*settings.gain_decibels)))
    if settings.noise_decibels is not None:
        waveform = add_noise(waveform, float(rng.uniform(*settings.noise_decibels)), rng)
    return waveform


def change_speed(waveform: Waveform, factor: float) -> Waveform:
    """Play a waveform (samples,) ``factor`` times as fast, by linear interpolation.

    Returns:
        float32 (max(1, round(samples / factor)),).
    """
    num_samples = max(1, round(len(waveform) / factor))
    positions = np.arange(num_samples) * factor
    changed: Waveform = np.interp(positions, np.arange(len(waveform)), waveform).astype(np.float32)
    return changed


def shift(waveform: Waveform, seconds: float) -> Waveform:
    """Move a waveform (samples,) later, or earlier if negative; zeros fill the gap."""
    num_samples = min(len(waveform), seconds_to_samples(abs(seconds)))
    silence = np.zeros(num_samples, np.float32)
    if seconds >= 0:
        return np.concatenate([silence, waveform[: len(waveform) - num_samples]])
    return np.concatenate([waveform[num_samples:], silence])


def equalise(waveform: Waveform, decibels: NDArray[np.float64]) -> Waveform:
    """Filter a waveform (samples,) by gains in dB, linear between knots, without delay.

    The knots lie from 0 Hz to half the sampling rate, equally spaced in the root of the frequency:
    closer where speech has its formants. The filter's `EQUALISER_TAPS` taps smooth the curve.
    """
    bins = np.sqrt(np.linspace(0.0, 1.0, EQUALISER_TAPS // 2 + 1))
    curve = np.interp(bins, np.linspace(0.0, 1.0, len(decibels)), decibels)
    response = np.fft.irfft(10.0 ** (curve / 20.0), EQUALISER_TAPS)
    taps = np.fft.fftshift(response) * np.hanning(EQUALISER_TAPS)
    reach = EQUALISER_TAPS // 2
    filtered = np.convolve(waveform, taps.astype(np.float32))
    changed: Waveform = filtered[reach : reach + len(waveform)]
    return changed


def change_gain(waveform: Waveform, decibels: float) -> Waveform:
    """Make a waveform (samples,) louder or quieter; samples beyond full scale are clipped."""
    louder: Waveform = (waveform * np.float32(10.0 ** (decibels / 20.0))).clip(-1.0, 1.0)
    return louder


def add_noise(waveform: Waveform, decibels: float, rng: np.random.Generator) -> Waveform:
    """Add white noise at a signal-to-noise ratio in dB to a waveform (samples,)."""
    level = float(waveform.std()) * 10.0 ** (-decibels / 20.0)
    noise = rng.standard_normal(len(waveform), dtype=np.float32)
    return waveform + noise * np.float32(level)


def random_crop(num_samples: int, seconds: float, rng: np.random.Generator) -> tuple[int, int]:
    """Return half-open bounds of ``seconds`` at a random place; of the whole if it is shorter."""
    wanted = seconds_to_samples(seconds)
    spare = num_samples - wanted
    if spare <= 0:
        return 0, num_samples
    start = int(rng.integers(spare + 1))
    return start, start + wanted
