"""The process behind ``tasks.synthetic.speech``: speaks one text with the espeak-ng library.

Run as ``python speech_child.py LIBRARY DATA REQUEST``, the last as JSON: ``voice``, ``text``, and
``parameters`` by the numbers of espeak's ``espeak_PARAMETER``. It writes int16 samples to stdout.
It imports nothing of this project: the library is under the GPL and stays in a process of its own.
"""

from __future__ import annotations

import ctypes
import json
import sys

SYNCHRONOUS = 2
"""``AUDIO_OUTPUT_SYNCHRONOUS``: samples go to the callback, and no sound device is opened."""

UTF8 = 1
SEED = 1

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def speak_text(library: str, data: str, request: str) -> bytes:
    """Return the samples, int16.

    Raises:
        OSError: the library cannot be loaded, or has no such voice.
    """
    wanted = json.loads(request)
    espeak = ctypes.CDLL(library)
    samples = bytearray()

    def take(wave: int | None, num_samples: int, _: int | None) -> int:
        if wave and num_samples > 0:
            samples.extend(ctypes.string_at(wave, 2 * num_samples))
        return 0

    callback = _CALLBACK(take)
    espeak.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), 0)
    espeak.espeak_SetSynthCallback(callback)
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
    if espeak.espeak_SetVoiceByName(wanted["voice"].encode()) != 0:
        raise OSError(f"espeak-ng has no voice {wanted['voice']!r}")
    for name, value in wanted["parameters"].items():
        espeak.espeak_SetParameter(int(name), int(value), 0)
    text = wanted["text"].encode() + b"\0"
    espeak.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, UTF8, None, None)
    espeak.espeak_Synchronize()
    return bytes(samples)


if __name__ == "__main__":
    sys.stdout.buffer.write(speak_text(*sys.argv[1:]))
