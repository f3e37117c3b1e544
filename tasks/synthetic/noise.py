"""A corpus for measuring speed: noise of given durations as MP4 with one AAC track, no picture.

Threads of this process write it, a thousand clips in seconds; the demo's corpus, with voices and a
picture, is `tasks.synthetic.corpus`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from emi_model.audio.waveform import Int16Waveform, to_float
from emi_model.speed.noise_clips import noise_waveforms
from emi_model.units import SAMPLING_RATE

CLIPS_A_FOLDER = 500
CLIPS_A_ROUND = 256
"""Clips drawn at once, so that memory does not grow with the corpus."""

BIT_RATE = 64_000


def write_noise(
    folder: Path,
    seconds: Sequence[float],
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write clips of given durations, no two with the same content.

    Args:
        folder: made if it is not there.
        seconds: duration of each clip.
        on_progress: called with the clips written so far and all of them.
    """
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
    done = 0
    try:
        for first in range(0, len(seconds), CLIPS_A_ROUND):
            waveforms = noise_waveforms(seconds[first : first + CLIPS_A_ROUND], seed=first)
            home = folder / f"{first // CLIPS_A_FOLDER:03d}"
            home.mkdir(parents=True, exist_ok=True)
            written = [
                pool.submit(_write, home / f"{first + number:06d}.mp4", waveform)
                for number, waveform in enumerate(waveforms)
            ]
            for future in as_completed(written):
                future.result()
                done += 1
                if on_progress is not None:
                    on_progress(done, len(seconds))
    finally:
        pool.shutdown(cancel_futures=True)


def _write(path: Path, waveform: Int16Waveform) -> None:
    import av  # slow to load, so only when a clip is written

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=SAMPLING_RATE, layout="mono")
        stream.bit_rate = BIT_RATE
        samples = to_float(waveform)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = SAMPLING_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
