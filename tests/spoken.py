"""Sentences that espeak-ng speaks, for tests that need words."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import espeakng_loader
import numpy as np

from emi_model.audio.waveform import Int16Waveform

_SYNCHRONOUS, _UTF8 = 2, 1
_RATE = 22_050
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def spoken(sentence: str, voice: str = "en-us") -> Int16Waveform:
    """Return int16 (samples,), 16 kHz mono, half a second of silence before and after the words."""
    pieces: list[np.ndarray[Any, Any]] = []

    def receive(samples: Any, num_samples: int, _: Any) -> int:
        if samples and num_samples:
            pieces.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        return 0

    library, callback = _library(), _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    assert library.espeak_SetVoiceByName(voice.encode()) == 0
    text = sentence.encode()
    assert library.espeak_Synth(text, len(text) + 1, 0, 0, 0, _UTF8, None, None) == 0
    speech = np.concatenate(pieces)
    times = np.arange(0, len(speech) / _RATE, 1 / 16_000)
    resampled = np.interp(times, np.arange(len(speech)) / _RATE, speech)
    return np.pad(resampled, 8_000).astype(np.int16)


@cache
def _library() -> Any:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    assert library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0) == _RATE
    return library
