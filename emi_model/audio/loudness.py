"""How loud a waveform is, 20 ms by 20 ms, and where it pauses."""

from __future__ import annotations

import numpy as np

from emi_model.arrays import Doubles
from emi_model.audio.waveform import FLOOR_DBFS, SILENCE_DBFS, Int16Waveform
from emi_model.units import INT16_FULL_SCALE

FRAME_SAMPLES = 320
"""Samples of a frame, 20 ms: one step of the backbone."""

SPEECH_PERCENTILE = 95.0
PAUSE_DB = 25.0
"""A frame is quiet this far below the level of the loud parts, the `SPEECH_PERCENTILE` of all."""

MIN_PAUSE_FRAMES = 15
"""Of a pause: 0.3 s. Shorter ones are closures within words."""


def frame_powers(waveform: Int16Waveform) -> Doubles:
    """Return the mean square (F,) of each 20 ms, full scale 1; the last frame may be shorter."""
    squares = np.square(waveform / np.float64(INT16_FULL_SCALE))
    starts = np.arange(0, len(squares), FRAME_SAMPLES)
    if not len(starts):
        return np.zeros(0)
    sums = np.add.reduceat(squares, starts)
    return np.asarray(sums / np.diff([*starts, len(squares)]), np.float64)


def power_dbfs(powers: Doubles) -> Doubles:
    """Return levels of mean squares, dB relative to full scale, [-100, 0]."""
    floor = 10 ** (FLOOR_DBFS / 10)
    return np.asarray(10 * np.log10(np.maximum(powers, floor)), np.float64)


def find_pauses(levels: Doubles) -> list[tuple[int, int]]:
    """Return the pauses between sounds as frames, half-open.

    A pause is at least 0.3 s in which every frame is more than 25 dB below the 95th percentile of
    all frames, or below -60 dBFS, after the first frame that is not and before the last.

    Args:
        levels: of the frames (F,), dB relative to full scale.
    """
    if not len(levels):
        return []
    bound = max(float(np.percentile(levels, SPEECH_PERCENTILE)) - PAUSE_DB, SILENCE_DBFS)
    sounding = np.flatnonzero(levels >= bound)
    gaps = zip(sounding[:-1] + 1, sounding[1:], strict=True)
    return [(int(start), int(end)) for start, end in gaps if end - start >= MIN_PAUSE_FRAMES]
