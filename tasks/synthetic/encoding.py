"""Writes made pictures and sounds as media files, the same seed to the same bytes."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ffmpeg

from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import MediaToolError
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.processes.bounded import run_bounded

ENCODE_TIMEOUT_SECONDS = 60.0


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
