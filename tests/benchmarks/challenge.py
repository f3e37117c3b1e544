"""A corpus like the challenge's: its durations, real speech where there is some, H.264 and AAC."""

from __future__ import annotations

import os
import subprocess
import wave
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import numpy as np

from emi_model.audio.waveform import Int16Waveform
from emi_model.speed.noise_clips import draw_seconds, noise_waveforms
from emi_model.units import SAMPLING_RATE, seconds_to_samples
from tasks.extraction.audio import Extraction, extract
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.extraction.headers import Prober

SPEECH = Path(__file__).resolve().parents[2].parent / "shared" / "media" / "emodb"
"""Clips of acted speech beside the project; where they are not, noise in syllables stands in."""

PICTURE = "testsrc2=size=640x360:rate=25"


def challenge_corpus(folder: Path, num_clips: int, seed: int = 0) -> str:
    """Write clips as MP4, no two alike; returns what is to be heard in them."""
    folder.mkdir(parents=True)
    seconds = draw_seconds(num_clips, seed)
    sources = sorted(SPEECH.rglob("*.wav")) if SPEECH.is_dir() else []
    waveforms = _spoken(sources, seconds) if sources else iter(noise_waveforms(seconds))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        names = (folder / f"{number:05d}.mp4" for number in range(num_clips))
        deque(pool.map(_write, names, waveforms), maxlen=0)
    return "real speech" if sources else "noise in syllables"


def _spoken(sources: list[Path], seconds: np.ndarray) -> Iterator[Int16Waveform]:
    """Join real clips, one behind the other, and cut what is wanted."""
    endless = _endless(sources)
    for each in seconds:
        wanted, held = seconds_to_samples(float(each)), list[Int16Waveform]()
        while sum(map(len, held)) < wanted:
            held.append(next(endless))
        yield np.concatenate(held)[:wanted]


def _endless(sources: list[Path]) -> Iterator[Int16Waveform]:
    with Prober() as prober:
        for path in cycle(sources):
            found = extract(path, max_seconds=None, prober=prober)
            if isinstance(found, Extraction):
                yield found.waveform


def _write(path: Path, waveform: Int16Waveform) -> None:
    sound = path.with_suffix(".wav")
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, SAMPLING_RATE, 0, "NONE", ""))
        file.writeframes(waveform.astype("<i2").tobytes())
    picture = f"{PICTURE}:duration={len(waveform) / SAMPLING_RATE:.6f}"
    command = [find_ffmpeg(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", picture, "-i", sound]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1"]
    command += ["-c:a", "aac", "-b:a", "96k", "-ar", "44100", path]
    subprocess.run([str(part) for part in command], check=True)
    sound.unlink()
