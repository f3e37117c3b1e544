"""Sentences that espeak-ng speaks, for tests that need words."""

from __future__ import annotations

from functools import cache

import numpy as np

from emi_model.audio.waveform import Int16Waveform
from emi_model.units import SAMPLING_RATE
from tasks.synthetic.speech import SPOKEN_RATE, Speaking, Talker, speak_sentence

_TALKER = Talker("a voice", "en-us", pitch=50, rate=160.0)


@cache
def spoken(sentence: str) -> Int16Waveform:
    """Return int16 (samples,), 16 kHz mono, half a second of silence before and after the words."""
    speech = speak_sentence(sentence, _TALKER, Speaking(), np.random.default_rng(0))
    num_samples = round(len(speech) * SAMPLING_RATE / SPOKEN_RATE)
    spectrum = np.fft.rfft(3_000 * speech)[: num_samples // 2 + 1]
    resampled = np.fft.irfft(spectrum, num_samples) * num_samples / len(speech)
    return np.pad(resampled, SAMPLING_RATE // 2).clip(-(2**15), 2**15 - 1).astype(np.int16)
