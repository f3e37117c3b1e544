"""A small source-filter voice: segments of speech in, a 16 kHz waveform out; numpy only.

The source is a sum of harmonics below half the sampling rate, so that no pitch aliases, plus
aspiration noise. Both go through a cascade of four formant resonators (Klatt 1980, "Software for a
cascade/parallel formant synthesizer", JASA 67(3)), whose response changes every 4 ms and is applied
by overlap-add. Frication noise has a fixed response of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emi_model.arrays import Doubles
from emi_model.units import SAMPLING_RATE

CONTROL_SAMPLES = 64
"""Samples between two control values: 4 ms."""

WINDOW_SAMPLES = 4 * CONTROL_SAMPLES
FFT_SAMPLES = 8 * CONTROL_SAMPLES
"""Twice the window, so that the resonators can decay for 16 ms without wrapping around."""

VOWELS: dict[str, tuple[float, float, float, float]] = {
    "a": (730.0, 1090.0, 2440.0, 3400.0),
    "e": (530.0, 1840.0, 2480.0, 3500.0),
    "i": (270.0, 2290.0, 3010.0, 3600.0),
    "o": (570.0, 840.0, 2410.0, 3300.0),
    "u": (300.0, 870.0, 2240.0, 3300.0),
    "schwa": (500.0, 1500.0, 2500.0, 3500.0),
}
"""Formants in Hz of an adult male voice: F1 to F3 after Peterson and Barney (1952)."""

BANDWIDTHS_HERTZ = (70.0, 100.0, 150.0, 220.0)
TREMOR_HERTZ = 6.0
TREMOR_SEMITONES = 1.2
REFERENCE_HERTZ = 500.0
"""The spectral tilt turns around this frequency."""


@dataclass(frozen=True)
class Speaker:
    """The properties of one voice.

    Attributes:
        name: Folder name of the speaker's clips.
        pitch_hertz: Resting fundamental frequency, Hz.
        tract_scale: Factor on all formants; above 1 is a shorter vocal tract.
        breathiness: Aspiration added to every voiced sound, 0 to 1.
        tilt: Spectral tilt of the source, dB per octave, added to every segment's.
        tempo: Factor on every duration; above 1 is slower.
    """

    name: str
    pitch_hertz: float
    tract_scale: float
    breathiness: float
    tilt: float
    tempo: float


@dataclass(frozen=True)
class Segment:
    """A stretch of sound; pairs are its value at the start and at the end.

    Attributes:
        seconds: Duration.
        voicing: Amplitude of the harmonics, 0 to 1.
        breath: Amplitude of the aspiration noise, 0 to 1.
        hiss: Amplitude of the frication noise, 0 to 1.
        semitones: Pitch above the speaker's resting pitch.
        vowels: Keys of ``VOWELS`` between which the formants glide.
        tilt: Spectral tilt in dB per octave; above 0 is pressed, below 0 is dark.
        smile: Factor on the second formant and up; above 1 is spread lips.
        tremor: Depth of a 6 Hz shake of amplitude and pitch, 0 to 1.
        edge_seconds: Length of the fade at both ends.
    """

    seconds: float
    voicing: float = 0.0
    breath: float = 0.0
    hiss: float = 0.0
    semitones: tuple[float, float] = (0.0, 0.0)
    vowels: tuple[str, str] = ("schwa", "schwa")
    tilt: float = 0.0
    smile: float = 1.0
    tremor: float = 0.0
    edge_seconds: float = 0.03


@dataclass(frozen=True)
class _Controls:
    """Values every ``CONTROL_SAMPLES``, all (frames,) but the formants, (frames, 4)."""

    voicing: Doubles
    breath: Doubles
    hiss: Doubles
    semitones: Doubles
    tilt: Doubles
    formants: Doubles


def draw_speaker(name: str, *, low_voice: bool, rng: np.random.Generator) -> Speaker:
    """Return a random voice, of the lower or of the higher register."""
    pitch, tract = ((92.0, 140.0), (0.92, 1.02)) if low_voice else ((165.0, 235.0), (1.06, 1.18))
    return Speaker(
        name=name,
        pitch_hertz=float(rng.uniform(*pitch)),
        tract_scale=float(rng.uniform(*tract)),
        breathiness=float(rng.uniform(0.02, 0.10)),
        tilt=float(rng.uniform(-1.0, 1.0)),
        tempo=float(rng.uniform(0.92, 1.08)),
    )


def render(speaker: Speaker, segments: Sequence[Segment], rng: np.random.Generator) -> Doubles:
    """Return the waveform of ``segments`` in the speaker's voice.

    Args:
        speaker: The voice.
        segments: At least one, in order.
        rng: Source of the noise and of the jitter of the pitch.

    Returns:
        Waveform (samples,) at 16 kHz, unscaled; its length is a whole number of 4 ms.
    """
    controls = _join([_controls(segment, speaker) for segment in segments])
    noise = rng.standard_normal((2, len(controls.voicing) * CONTROL_SAMPLES))
    source = _harmonics(_pitch_hertz(speaker, controls.semitones, rng))
    source = source * _per_sample(controls.voicing) + noise[0] * _per_sample(
        0.35 * (controls.breath + speaker.breathiness * controls.voicing)
    )
    shaped = _spectra(source) * _tract_response(controls, speaker.tilt)
    shaped += _spectra(noise[1] * _per_sample(1.2 * controls.hiss)) * _hiss_response()
    return _overlap_add(shaped)


def _controls(segment: Segment, speaker: Speaker) -> _Controls:
    num_frames = max(1, round(segment.seconds * speaker.tempo * SAMPLING_RATE / CONTROL_SAMPLES))
    course = np.linspace(0.0, 1.0, num_frames)
    edge = max(1.0, segment.edge_seconds * SAMPLING_RATE / CONTROL_SAMPLES)
    steps = np.minimum(np.arange(num_frames) + 1.0, np.arange(num_frames, 0, -1)) / edge
    seconds = np.arange(num_frames) * CONTROL_SAMPLES / SAMPLING_RATE
    shake = segment.tremor * np.sin(2.0 * np.pi * TREMOR_HERTZ * seconds)
    fade = np.minimum(steps, 1.0) * (1.0 + 0.8 * shake)
    start, end = (np.array(VOWELS[vowel]) * speaker.tract_scale for vowel in segment.vowels)
    smile = np.array([1.0, segment.smile, segment.smile, segment.smile])
    return _Controls(
        voicing=segment.voicing * fade,
        breath=segment.breath * fade,
        hiss=segment.hiss * fade,
        semitones=_glide(*segment.semitones, course) + TREMOR_SEMITONES * shake,
        tilt=np.full(num_frames, segment.tilt),
        formants=(start + course[:, None] * (end - start)) * smile,
    )


def _glide(start: float, end: float, course: Doubles) -> Doubles:
    return start + (end - start) * course


def _join(parts: Sequence[_Controls]) -> _Controls:
    def joined(name: str, width: int) -> Doubles:
        return _smooth(np.concatenate([getattr(part, name) for part in parts]), width)

    formants = np.concatenate([part.formants for part in parts])
    return _Controls(
        voicing=joined("voicing", 3),
        breath=joined("breath", 3),
        hiss=joined("hiss", 3),
        semitones=joined("semitones", 9),
        tilt=joined("tilt", 5),
        formants=np.stack([_smooth(course, 9) for course in formants.T], axis=1),
    )


def _smooth(values: Doubles, width: int) -> Doubles:
    """Return the centred moving average over an odd ``width``, the ends repeated."""
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1.0 / width), mode="valid")


def _per_sample(values: Doubles) -> Doubles:
    """Return (frames * CONTROL_SAMPLES,) values, linear between the frames."""
    num_samples = len(values) * CONTROL_SAMPLES
    return np.interp(np.arange(num_samples) / CONTROL_SAMPLES, np.arange(len(values)), values)


def _pitch_hertz(speaker: Speaker, semitones: Doubles, rng: np.random.Generator) -> Doubles:
    jitter = _smooth(rng.normal(0.0, 0.25, len(semitones)), 3)
    return _per_sample(speaker.pitch_hertz * 2.0 ** ((semitones + jitter) / 12.0))


def _harmonics(pitch_hertz: Doubles) -> Doubles:
    """Return harmonics that fall by 6 dB per octave, the spectrum of a flow derivative.

    cos(k p) comes from cos((k-1) p) and cos((k-2) p) by Chebyshev's recursion: one product a
    sample and harmonic instead of one cosine.
    """
    phase = 2.0 * np.pi * np.cumsum(pitch_hertz) / SAMPLING_RATE
    before, current = np.ones_like(phase), np.cos(phase)
    twice = 2.0 * current
    total = np.zeros_like(phase)
    for order in range(1, int(SAMPLING_RATE / 2 / pitch_hertz.min()) + 1):
        total += current * (pitch_hertz * order < SAMPLING_RATE / 2) / order
        before, current = current, twice * current - before
    return total


def _bin_hertz() -> Doubles:
    return np.arange(FFT_SAMPLES // 2 + 1, dtype=np.float64) * (SAMPLING_RATE / FFT_SAMPLES)


def _tract_response(controls: _Controls, tilt: float) -> NDArray[np.complex128]:
    """Return (frames, bins): the four resonators in cascade, and the tilt of the source."""
    delay = np.exp(-2j * np.pi * _bin_hertz() / SAMPLING_RATE)
    octaves = np.log2(np.maximum(_bin_hertz(), 60.0) / REFERENCE_HERTZ)
    decibels = np.clip((controls.tilt[:, None] + tilt) * octaves, -40.0, 20.0)
    response = (10.0 ** (decibels / 20.0)).astype(np.complex128)
    for formant, bandwidth in zip(controls.formants.T, BANDWIDTHS_HERTZ, strict=True):
        radius = np.exp(-np.pi * bandwidth / SAMPLING_RATE)
        turn = 2.0 * radius * np.cos(2.0 * np.pi * formant / SAMPLING_RATE)[:, None]
        response *= (1.0 - turn + radius**2) / (1.0 - turn * delay + radius**2 * delay**2)
    return response


def _hiss_response() -> Doubles:
    """Return (bins,): a broad band around 4.5 kHz, as of /s/."""
    return np.exp(-(((_bin_hertz() - 4500.0) / 1500.0) ** 2))


def _spectra(source: Doubles) -> NDArray[np.complex128]:
    """Return (frames, bins) of windows centred on the control values."""
    half = WINDOW_SAMPLES // 2
    padded = np.pad(source, (half, half))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::CONTROL_SAMPLES]
    frames = frames[: len(source) // CONTROL_SAMPLES]
    # Hann at a hop of a quarter window sums to 2
    return np.fft.rfft(frames * np.hanning(WINDOW_SAMPLES + 1)[:-1] / 2.0, FFT_SAMPLES)


def _overlap_add(spectra: NDArray[np.complex128]) -> Doubles:
    pieces = np.fft.irfft(spectra, FFT_SAMPLES).reshape(len(spectra), -1, CONTROL_SAMPLES)
    num_shifts = pieces.shape[1]
    total = np.zeros((len(spectra) + num_shifts - 1, CONTROL_SAMPLES))
    for shift in range(num_shifts):
        total[shift : shift + len(spectra)] += pieces[:, shift]
    lead = WINDOW_SAMPLES // 2 // CONTROL_SAMPLES
    return total[lead : lead + len(spectra)].ravel()
