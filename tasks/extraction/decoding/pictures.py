"""Pictures of a video track at a fixed rate of its own clock.

The rate that a container declares says nothing: phones and browsers write pictures when they have
one. So ffmpeg's filter looks at their times, and picture i is what a viewer sees i/5 s after the
recording began: the last one that was shown by then. It stays until the next one comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.extraction.decoding.sound import read_blocks

FRAMES_PER_SECOND = 5

MAX_FRAMES = 300
"""Of a longer clip, the first minute is looked at."""

LONGEST_SIDE = 480
"""Pixels of the longer side of a picture that leaves ffmpeg; smaller ones are not enlarged."""

LATE_SECONDS = 0.1
"""A first picture that comes less late counts as shown from the beginning, as sound does."""

_TICK_MILLISECONDS = 1_000 // FRAMES_PER_SECOND
_HEADER_BYTES = 4 * 1024
# Matroska takes plain pixels only with the header of a Windows bitmap, which has their size:
# the element's name, its length, then 40 (the header's own length), width and height.
_BITMAP = re.compile(rb"\x63\xa2.\x28\0\0\0(.{4})(.{4})", re.DOTALL)

RgbPicture = NDArray[np.uint8]
"""uint8 (height, width, 3), RGB."""


@dataclass(frozen=True, eq=False)
class DecodedPictures:
    """What ffmpeg decoded of a video track.

    Attributes:
        ticks: the time of each picture, in 1/`FRAMES_PER_SECOND` s after the recording began,
            ascending; those before the first picture of the track are absent.
        pictures: uint8 (height, width, 3) RGB, each; all have the size of the first.
        ended_early: ffmpeg did not reach the end of what was wanted.
    """

    ticks: tuple[int, ...]
    pictures: Sequence[RgbPicture]
    ended_early: bool = False

    def __iter__(self) -> Iterator[tuple[int, RgbPicture]]:
        """Yield time and content of each picture."""
        return zip(self.ticks, self.pictures, strict=True)


def num_frames_within(seconds: float) -> int:
    """Return how many pictures are wanted of the first seconds of a clip, at least one."""
    return max(1, min(MAX_FRAMES, int(np.ceil(seconds * FRAMES_PER_SECOND))))


def picture_filter(num_frames: int, start_seconds: float | None = None) -> str:
    """Return ffmpeg's filters that choose pictures and scale them, after they were rotated.

    The filter ``fps`` repeats a picture while it is shown, however long that is: ``trim`` bounds
    it. Pixels become square.

    Args:
        num_frames: pictures that are wanted.
        start_seconds: when the first picture of the track is shown. ffmpeg takes the beginning of
            the sound for that of a recording in Matroska, also where pictures come before.
            None: its times are right.
    """
    time, first = "PTS", "T"
    if start_seconds is not None:
        time, first = f"PTS-STARTPTS+{start_seconds:.6f}/TB", f"{start_seconds:.6f}"
    end_seconds = (num_frames - 0.5) / FRAMES_PER_SECOND
    shrink = f"min(1,{LONGEST_SIDE}/max(iw*sar,ih))"
    return (
        f"setpts='if(eq(N,0)*between({first},0,{LATE_SECONDS}),0,{time})',"
        f"fps={FRAMES_PER_SECOND}:round=up,trim=start=0:end={end_seconds:g},"
        f"scale=w='max(1,round(iw*sar*{shrink}))':h='max(1,round(ih*{shrink}))',setsar=1"
    )


def max_picture_bytes(num_frames: int) -> int:
    """Return the most bytes that ffmpeg may write for so many pictures."""
    return num_frames * 3 * LONGEST_SIDE**2 + (num_frames + 1) * _HEADER_BYTES


def read_pictures(data: bytes, *, ended_early: bool = False) -> DecodedPictures:
    """Read the pictures of Matroska that ffmpeg wrote, up to where it was stopped."""
    header = _BITMAP.search(data, 0, _HEADER_BYTES)
    if header is None:
        return DecodedPictures((), (), ended_early)
    width, height = (
        abs(int.from_bytes(number, "little", signed=True)) for number in header.groups()
    )
    found = {
        round(time / _TICK_MILLISECONDS): np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        for time, pixels in zip(*read_blocks(memoryview(data)), strict=True)
        if len(pixels) == 3 * height * width  # the last one may be cut off
    }
    return DecodedPictures(tuple(found), tuple(found.values()), ended_early)
