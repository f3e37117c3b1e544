"""Sentences spoken by espeak-ng (extra ``demo``), each in a voice that expresses a target or none.

The words decide nothing of the voice. All of it is relative to the speaker's own voice:

| target        | what the voice does                                     |
|---------------|---------------------------------------------------------|
| admiration    | slow, swelling and sinking once over the sentence       |
| amusement     | shaken by five pulses a second, high                    |
| determination | monotone, low, pressed                                  |
| empathic pain | slow, dark, breathy, trembling                          |
| excitement    | fast, high, bright                                      |
| joy           | sing-song: the pitch swings three times a second        |
| (none)        | at rest                                                 |
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from emi_model.arrays import Doubles
from emi_model.errors import ConfigError, MediaToolError
from emi_model.units import INT16_FULL_SCALE
from tasks.processes.bounded import run_bounded

SPOKEN_RATE = 22_050
"""Sampling rate of espeak-ng, Hz."""

LIBRARY_PACKAGE = "espeakng_loader"
INSTALL_DEMO = "pip install 'emi-workflow[demo]'"

_CHILD = Path(__file__).with_name("speech_child.py")
_RATE, _PITCH, _RANGE = "1", "3", "4"
"""Numbers of espeak's parameters: words a minute, pitch and its range, both 0 to 100."""

_TIMEOUT_SECONDS = 60.0
_MAX_BYTES = 2 * SPOKEN_RATE * 60
_SILENCE = 0.005
_REFERENCE_HERTZ = 500.0
_LEAD_SECONDS = 0.15

NOTE_SECONDS = 0.3
REFERENCE_RATE = 150.0
"""A whistled note lasts `NOTE_SECONDS` where the talker says so many words a minute."""


@dataclass(frozen=True)
class Speaking:
    """How a sentence is spoken, beside its words.

    Attributes:
        rate: factor on the words a minute.
        pitch: shift of espeak's pitch, in hundredths of its range.
        span: espeak's range of pitch, 0 (monotone) to 100.
        tilt: slope of the spectrum, dB an octave; above 0 is pressed, below 0 is dark.
        shake_hertz: how often the loudness goes up and down.
        shake: depth of that, 0 to 1.
        swing_hertz: how often the pitch goes up and down.
        swing: depth of that, semitones.
        swell: rise of the loudness to the middle of the sentence, 0 to 1.
        breath: noise under the voice, relative to it.
    """

    rate: float = 1.0
    pitch: int = 0
    span: int = 45
    tilt: float = 0.0
    shake_hertz: float = 5.0
    shake: float = 0.0
    swing_hertz: float = 3.0
    swing: float = 0.0
    swell: float = 0.0
    breath: float = 0.0


WAYS = (
    Speaking(rate=0.82, span=70, swell=0.9),
    Speaking(rate=1.05, pitch=12, shake=0.75),
    Speaking(pitch=-12, span=0, tilt=4.0),
    Speaking(rate=0.82, pitch=-5, tilt=-4.5, shake_hertz=9.0, shake=0.35, breath=0.05),
    Speaking(rate=1.2, pitch=22, span=70, tilt=2.0),
    Speaking(rate=0.95, pitch=8, swing=1.0),
    Speaking(),
)
"""Of each target, in their order, and of none."""

VOICE_VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("Hugo", "Mike", "Mario", "Michael", "edward", "linda", "adam", "klatt"),
)
"""Voices of which Whisper tiny.en understands nine words of ten and more."""

ACCENT = "en-us"
"""Of another accent, tiny.en misses half the words."""


@dataclass(frozen=True)
class Talker:
    """One voice of espeak-ng.

    Attributes:
        name: folder name of the speaker's clips.
        voice: espeak's name of it, accent and variant.
        pitch: espeak's pitch at rest.
        rate: words a minute at rest.
    """

    name: str
    voice: str
    pitch: int
    rate: float


def draw_talkers(count: int, rng: np.random.Generator) -> list[Talker]:
    """Return different voices, as many as there are variants at most."""
    variants = rng.permutation(VOICE_VARIANTS)[:count]
    return [
        Talker(
            name=f"speaker{number + 1:02}",
            voice=f"{ACCENT}+{variant}",
            pitch=int(rng.integers(40, 56)),
            rate=float(rng.uniform(140.0, 156.0)),
        )
        for number, variant in enumerate(variants)
    ]


def require_speech() -> tuple[Path, Path]:
    """Return the library's file and its data.

    Raises:
        ConfigError: the package is not installed.
    """
    if find_spec(LIBRARY_PACKAGE) is None:
        raise ConfigError(
            f"found no espeak-ng (package {LIBRARY_PACKAGE}), expected it to speak the demo's "
            f"sentences: {INSTALL_DEMO}"
        )
    import espeakng_loader

    return Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())


def speak_sentence(text: str, talker: Talker, way: Speaking, rng: np.random.Generator) -> Doubles:
    """Return the waveform of a text (samples,) at `SPOKEN_RATE`, of RMS 1.

    Raises:
        ConfigError: espeak-ng is not installed.
        MediaToolError: it failed.
    """
    waveform = _spoken(text, talker, way)
    return _coloured(waveform, way, rng)


def whistle(seconds: float, talker: Talker, way: Speaking, rng: np.random.Generator) -> Doubles:
    """Return a whistled tune (samples,) at `SPOKEN_RATE`, of RMS 1: a voice without words.

    Hummed vowels would not do: speech filters take them for speech, but not a whistle.
    """
    note_samples = int(NOTE_SECONDS * REFERENCE_RATE / (talker.rate * way.rate) * SPOKEN_RATE)
    num_notes = max(1, round(seconds * SPOKEN_RATE / note_samples))
    course = np.arange(note_samples) / note_samples
    loudness = np.clip(np.minimum(course, 1.0 - course) / 0.12, 0.0, 1.0)
    notes = way.pitch / 2.0 + rng.uniform(-1.0, 1.0, num_notes) * way.span / 12.0
    hertz = (600.0 + 8.0 * talker.pitch) * 2.0 ** (np.repeat(notes, note_samples) / 12.0)
    tone = np.sin(2.0 * np.pi * np.cumsum(hertz) / SPOKEN_RATE) * np.tile(loudness, num_notes)
    return _coloured(tone, way, rng)


def _spoken(text: str, talker: Talker, way: Speaking) -> Doubles:
    """Return what espeak-ng says (samples,), without the silence around it."""
    library, data = require_speech()
    parameters = {
        _RATE: round(talker.rate * way.rate),
        _PITCH: int(np.clip(talker.pitch + way.pitch, 0, 99)),
        _RANGE: way.span,
    }
    request = {"voice": talker.voice, "text": text, "parameters": parameters}
    spoken = run_bounded(
        [sys.executable, "-P", str(_CHILD), str(library), str(data), json.dumps(request)],
        timeout_seconds=_TIMEOUT_SECONDS,
        max_stdout_bytes=_MAX_BYTES,
    )
    if spoken.exit_status != 0 or len(spoken.stdout) < 2:
        raise MediaToolError(
            f"espeak-ng could not speak as {talker.voice}: {spoken.stderr_tail[-300:]}"
        )
    waveform = np.frombuffer(spoken.stdout, np.int16) / INT16_FULL_SCALE
    (loud,) = np.nonzero(np.abs(waveform) > _SILENCE)
    lead = int(_LEAD_SECONDS * SPOKEN_RATE)
    return np.pad(waveform[loud[0] : loud[-1] + 1], lead)


def _coloured(waveform: Doubles, way: Speaking, rng: np.random.Generator) -> Doubles:
    seconds = np.arange(len(waveform)) / SPOKEN_RATE
    phases = 2.0 * np.pi * rng.random(2)
    if way.swing:
        # reading at a speed that swings shifts the pitch by as many semitones
        speed = 2.0 ** (
            way.swing * np.sin(2.0 * np.pi * way.swing_hertz * seconds + phases[0]) / 12.0
        )
        waveform = np.interp(np.cumsum(speed), np.arange(len(waveform)), waveform)
    if way.breath:
        loudness = np.sqrt(np.convolve(np.square(waveform), np.full(400, 1 / 400.0), mode="same"))
        noise = rng.normal(0.0, 1.0, len(waveform))
        waveform = waveform + way.breath * 4.0 * loudness * noise
    waveform = _tilted(waveform, way.tilt)
    shake = 0.5 * (1.0 + np.sin(2.0 * np.pi * way.shake_hertz * seconds + phases[1]))
    swell = np.sin(np.pi * seconds / seconds[-1]) ** 2
    waveform = waveform * (1.0 - way.shake * shake) * (1.0 - way.swell * (1.0 - swell))
    return np.asarray(waveform / waveform.std())


def _tilted(waveform: Doubles, tilt: float) -> Doubles:
    spectrum = np.fft.rfft(waveform)
    hertz = np.fft.rfftfreq(len(waveform), 1.0 / SPOKEN_RATE)
    octaves = np.log2(np.maximum(hertz, 60.0) / _REFERENCE_HERTZ)
    return np.fft.irfft(spectrum * 10.0 ** (tilt * octaves / 20.0), len(waveform))
