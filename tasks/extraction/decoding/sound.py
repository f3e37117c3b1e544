"""Decoded samples with their times: gaps in a recording, which silence fills.

ffmpeg writes samples as Matroska, because raw samples carry no times. Only what ffmpeg writes is
read here: one track of 16-bit samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, groupby, pairwise, repeat
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emi_model.units import SAMPLING_RATE, samples_to_seconds, seconds_to_samples

MIN_GAP_SECONDS = 0.2
"""Times jitter, and some phones write a first frame of 0.15 s: less than this is no gap."""

MAX_GAP_SECONDS = 24 * 3600.0
"""Later than this, all gaps of a recording together, a time is wrong."""

_JITTER_SECONDS = 0.01  # also where a recorder's clock goes wrong: it would add a gap after a while

MAX_FILL_SECONDS = 10.0
"""Of a longer gap only so much is filled with silence; its times stay those of the recording."""

BYTES_PER_SAMPLE = 2

_MAX_LATE_BLOCKS = 3

_OGG_PAGE, _OGG_HEADER_BYTES, _OGG_FIRST_PAGE = b"OggS", 27, 0x02

_CONTAINERS = (0x18538067, 0x1F43B675, 0xA0)  # segment, cluster, group of blocks
_BLOCKS = (0xA3, 0xA1)
_TIME = 0xE7
_BLOCK_HEADER_BYTES = 4  # track number, two bytes of time, flags
_TICKS_PER_SECOND = 1_000
_HEADER_BYTES = 64 * 1024


@dataclass(frozen=True)
class Gap:
    """A stretch of a recording without sound, in seconds.

    Attributes:
        start_seconds: where it begins, counted from the first sample of the sound.
        seconds: its length.
        filled_seconds: how much of it the waveform has as silence.
    """

    start_seconds: float
    seconds: float
    filled_seconds: float


@dataclass(frozen=True, eq=False)
class Sound:
    """What ffmpeg decoded.

    Attributes:
        waveform: int16 (samples,), 16 kHz mono, without the gaps.
        breaks: where gaps lie: the number of samples before each, and its length in samples.
    """

    waveform: NDArray[np.int16]
    breaks: tuple[tuple[int, int], ...] = ()

    def filled(self, num_wanted: int) -> tuple[NDArray[np.int16], tuple[Gap, ...]]:
        """Return the waveform with its gaps filled, and the gaps.

        Args:
            num_wanted: samples after which gaps do not matter; the waveform may have more.
        """
        pieces: list[NDArray[np.int16]] = []
        gaps: list[Gap] = []
        begun = length = unfilled = 0
        for place, missing in self.breaks:
            length += place - begun
            if length >= num_wanted:
                break
            pieces.append(self.waveform[begun:place])
            silence = min(missing, seconds_to_samples(MAX_FILL_SECONDS), num_wanted + 1 - length)
            pieces.append(np.zeros(silence, np.int16))
            times = (length + unfilled, missing, silence)
            gaps.append(Gap(*map(samples_to_seconds, times)))
            begun, length, unfilled = place, length + silence, unfilled + missing - silence
        if not gaps:
            return self.waveform, ()
        return np.concatenate([*pieces, self.waveform[begun:]]), tuple(gaps)

    def followed_by(self, other: Sound) -> Sound:
        """Return this sound and then another, without a gap between them."""
        num = self.waveform.size
        breaks = (*self.breaks, *((num + place, missing) for place, missing in other.breaks))
        return Sound(np.concatenate([self.waveform, other.waveform]), breaks)


def ogg_links(path: str) -> list[int]:
    """Return where ffmpeg has to begin anew in a chained Ogg file, in bytes; not its beginning.

    It goes on from one link of the chain to the next, unless codec, channels or rate change.
    """
    links: list[tuple[int, bytes]] = []
    try:
        with Path(path).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            links += _all_links(data)
    except (OSError, ValueError):  # it is gone, or empty
        return []
    return [place for (_, before), (place, now) in pairwise(links) if before != now]


def _all_links(data: mmap) -> Iterator[tuple[int, bytes]]:
    """Yield place and format of each link of a chained Ogg file."""
    place, in_headers = data.find(_OGG_PAGE), False
    while 0 <= place < len(data) - _OGG_HEADER_BYTES:
        body = place + _OGG_HEADER_BYTES + data[place + _OGG_HEADER_BYTES - 1]
        is_first = bool(data[place + 5] & _OGG_FIRST_PAGE)
        if is_first and not in_headers:
            yield place, _ogg_format(data[body : body + 16])
        in_headers = is_first
        end = body + sum(data[place + _OGG_HEADER_BYTES : body])
        place = end if data[end : end + 4] == _OGG_PAGE else data.find(_OGG_PAGE, place + 4)


def _ogg_format(head: bytes) -> bytes:
    """Return what must not change between links: codec, channels, and the rate of Vorbis."""
    if head.startswith(b"OpusHead"):
        return head[:8] + head[9:10]
    return head if head.startswith(b"\x01vorbis") else head[:5]


def max_matroska_bytes(num_samples: int) -> int:
    """Return the most bytes that ffmpeg may write for so many samples: twice what it needs."""
    return 2 * BYTES_PER_SAMPLE * num_samples + _HEADER_BYTES


def read_matroska(data: bytes) -> Sound:
    """Read the samples and times of Matroska that ffmpeg wrote, up to where it was stopped."""
    times, payloads = read_blocks(memoryview(data))
    whole = b"".join(payloads)
    waveform = np.frombuffer(whole, "<i2", len(whole) // BYTES_PER_SAMPLE)
    samples = np.array([len(payload) // BYTES_PER_SAMPLE for payload in payloads], np.int64)
    expected = np.array(times[:-1]) + samples[:-1] * (_TICKS_PER_SECOND / SAMPLING_RATE)
    is_even = np.abs(np.array(times[1:]) - expected) <= _JITTER_SECONDS * _TICKS_PER_SECOND
    if is_even.all():  # nearly always
        return Sound(waveform)
    return Sound(waveform, tuple(_breaks(list(zip(times, samples.tolist(), strict=True)))))


def _breaks(blocks: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the gaps between blocks, given by time in milliseconds and number of samples.

    Small gaps are added up.
    """
    missing_seconds, left_seconds = 0.0, MAX_GAP_SECONDS
    ends = accumulate(samples for _, samples in blocks)
    lateness = _without_wrong_clocks(_lateness(blocks))
    for seen, late_seconds in zip(chain((0,), ends), lateness, strict=False):
        missing_seconds += late_seconds
        if missing_seconds > MIN_GAP_SECONDS:
            if missing_seconds <= left_seconds:
                yield seen, seconds_to_samples(missing_seconds)
                left_seconds -= missing_seconds
            missing_seconds = 0.0


def _lateness(blocks: Sequence[tuple[int, int]]) -> Iterator[float]:
    """Yield by how many seconds each block begins later than the one before ends; jitter is 0.

    A block that begins far too early does not move the clock back: what follows would look late.
    """
    expected = float(blocks[0][0])
    for time, samples in blocks:
        late_seconds = (time - expected) / _TICKS_PER_SECOND
        if late_seconds > -MIN_GAP_SECONDS:
            expected = time
            yield late_seconds if abs(late_seconds) > _JITTER_SECONDS else 0.0
        else:
            yield 0.0
        expected += samples * _TICKS_PER_SECOND / SAMPLING_RATE


def _without_wrong_clocks(lateness: Iterable[float]) -> Iterator[float]:
    """Yield 0 where one block after the other is late: their clock is wrong, nothing is missing."""
    for is_late, run in groupby(lateness, lambda seconds: seconds > 0):
        late = list(run)
        yield from repeat(0.0, len(late)) if is_late and len(late) > _MAX_LATE_BLOCKS else late


def read_blocks(data: memoryview) -> tuple[list[int], list[memoryview]]:
    """Return time in milliseconds and samples of each block.

    An element is its kind, its size and its content. The first set bit of kind and size tells how
    many bytes they have.
    """
    times: list[int] = []
    payloads: list[memoryview] = []
    place = cluster_time = 0
    end = len(data)
    while place < end:
        length = 9 - data[place].bit_length()
        kind = int.from_bytes(data[place : place + length], "big")
        place += length
        if place >= end:
            break
        length = 9 - data[place].bit_length()
        size = int.from_bytes(data[place : place + length], "big") & (1 << 7 * length) - 1
        place += length
        if kind in _CONTAINERS:
            continue  # what it contains comes next
        if kind in _BLOCKS:
            time = int.from_bytes(data[place + 1 : place + 3], "big", signed=True)
            times.append(cluster_time + time)
            payloads.append(data[place + _BLOCK_HEADER_BYTES : place + size])
        elif kind == _TIME:
            cluster_time = int.from_bytes(data[place : place + size], "big")
        place += size
    return times, payloads
