"""Writes made pictures and sounds as media files, the same seed to the same bytes.

A corpus of them is there whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ffmpeg

from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import CorpusError, MediaToolError
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.processes.bounded import run_bounded
from tasks.storage.whole_folder import made_whole

ENCODE_TIMEOUT_SECONDS = 60.0


def write_whole(
    folder: Path,
    clips: Mapping[str, Callable[[Path], None]],
    finish: Callable[[Path], None],
    *,
    last: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a corpus aside and rename it: who interrupts that may begin again.

    After an error, or Ctrl-C, no further clip is begun.

    Args:
        folder: A folder that does not exist yet, or is empty.
        clips: By clip id a function that writes the clip to its path.
        finish: Writes what else belongs into the folder that it is given.
        last: Name of the file that it writes last.
        on_progress: Called with the clips written so far and all of them.

    Raises:
        CorpusError: the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CorpusError(f"{folder} is not empty: name a new folder, or remove it first")

    def write(aside: Path) -> None:
        for clip_id in clips:
            (aside / clip_id).parent.mkdir(parents=True, exist_ok=True)
        pool = ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1))
        try:
            written = [pool.submit(make, aside / clip_id) for clip_id, make in clips.items()]
            for done, future in enumerate(as_completed(written), start=1):
                future.result()
                if on_progress is not None:
                    on_progress(done, len(clips))
        finally:
            pool.shutdown(cancel_futures=True)
        finish(aside)

    made_whole(folder, last, write)


@contextmanager
def sound_input(waveform: Int16Waveform, sampling_rate: int) -> Iterator[Any]:
    """Yield ffmpeg's input of a waveform (samples,), which lasts as long as the context."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as audio:
        with wave.open(audio, "wb") as sound:
            sound.setparams((1, 2, sampling_rate, 0, "NONE", ""))
            sound.writeframes(waveform.astype("<i2").tobytes())
        audio.flush()
        yield ffmpeg.input(f"file:{audio.name}").audio


def encode(path: Path, streams: Sequence[Any], **audio: object) -> None:
    """Write streams as an MP4, pictures as H.264.

    Raises:
        MediaToolError: there is no ffmpeg, or it failed.
    """
    # bitexact leaves the encoders' versions out of the file: the same seed, the same bytes
    exact = {"fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact"}
    video = {"vcodec": "libx264", "preset": "ultrafast", "crf": 35, "pix_fmt": "yuv420p"}
    output = ffmpeg.output(*streams, f"file:{path}", threads=1, **{**video, **audio}, **exact)
    output = output.global_args("-nostdin", "-v", "error")
    command = ffmpeg.compile(output, cmd=str(find_ffmpeg()), overwrite_output=True)
    result = run_bounded(command, timeout_seconds=ENCODE_TIMEOUT_SECONDS, max_stdout_bytes=0)
    if result.exit_status != 0:
        raise MediaToolError(f"ffmpeg could not write {path}: {result.stderr_tail}")
