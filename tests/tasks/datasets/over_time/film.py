"""A tiny film whose sound has another pitch in each second."""

from __future__ import annotations

from pathlib import Path

import ffmpeg
import numpy as np

from emi_model.units import SAMPLING_RATE
from tasks.synthetic.encoding import encode, sound_input

FRAMES_PER_SECOND = 4


def write_film(path: Path, *, seconds: int) -> None:
    """Write grey pictures, and tones of 200 Hz, 400 Hz and so on, a second each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(SAMPLING_RATE) / SAMPLING_RATE
    tones = [np.sin(2 * np.pi * 200 * second * times) for second in range(1, seconds + 1)]
    waveform = (8000 * np.concatenate(tones)).astype(np.int16)
    grey = f"color=gray:size=32x32:rate={FRAMES_PER_SECOND}:duration={seconds}"
    with sound_input(waveform, SAMPLING_RATE) as sound:
        encode(path, [ffmpeg.input(grey, f="lavfi").video, sound], acodec="aac")
