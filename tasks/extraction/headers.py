"""Reads media headers in a long-lived child process, which may crash without harm."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.extraction.decoding.mixing import Mixing, mixing_of
from tasks.extraction.formats import (
    ALLOWED_CONTAINERS,
    ALLOWED_DECODERS,
    ALLOWED_VIDEO_DECODERS,
    DEEP_PROBE,
    may_reach_out,
)
from tasks.processes.line_child import LineChild
from tasks.schema.outcomes import Reason

_CHILD = Path(__file__).with_name("headers_child.py")


@dataclass(frozen=True)
class AudioTrack:
    """One audio track as its header describes it.

    Attributes:
        index: Place among all streams of the file, as in ffmpeg's ``-map 0:INDEX``.
        codec: Name of the codec; None if libav has no decoder.
        allowed: Its decoder is one of ``ALLOWED_DECODERS``.
        encrypted: It needs a key.
        sampling_rate: Hz; None if the header has none.
        channels: Number of channels; None if the header has none.
        default: The file marks it as one to play by default.
        seconds: Its own declared duration, not the container's; None if it declares none.
        layout: libav's name of its channel layout, ``6 channels`` if it declares none.
        start_seconds: Where it begins, counted from the recording's beginning; None if the header
            does not say.
    """

    index: int
    codec: str | None
    allowed: bool
    encrypted: bool
    sampling_rate: int | None
    channels: int | None
    default: bool
    seconds: float | None
    layout: str | None = None
    start_seconds: float | None = None

    @property
    def mixing(self) -> Mixing:
        """Return how its channels become one."""
        return mixing_of(self.codec, self.layout, self.channels)


@dataclass(frozen=True)
class VideoTrack:
    """One video track as its header describes it.

    Attributes:
        index: Place among all streams of the file.
        codec: libav's name of its decoder; None if libav has none.
        default: The file marks it as one to play by default.
        num_pixels: Pixels of a picture; 0 if the header does not say.
        start_seconds: Where it begins, counted from the recording's beginning; None if the header
            does not say.
        frames_per_second: On average; None if the header does not say.
    """

    index: int
    codec: str | None
    default: bool
    num_pixels: int
    start_seconds: float | None = None
    frames_per_second: float | None = None

    @property
    def allowed(self) -> bool:
        """Return whether its decoder is one of ``ALLOWED_VIDEO_DECODERS``."""
        return self.codec in ALLOWED_VIDEO_DECODERS.split(",")


@dataclass(frozen=True)
class Header:
    """A media file's header.

    Attributes:
        container: libav's name of its format.
        seconds: Duration that it declares; None if it declares none.
        tracks: Its audio tracks.
        begins_late: Its audio was found deep in the file alone.
        videos: Its video tracks; cover pictures are none.
    """

    container: str
    seconds: float | None
    tracks: tuple[AudioTrack, ...]
    begins_late: bool = False
    videos: tuple[VideoTrack, ...] = ()


@dataclass(frozen=True)
class ProbeFailure:
    """The reason why a header could not be read, and libav's message."""

    reason: Reason
    words: str


class Prober(LineChild):
    """Handle on the child process that reads headers, see `LineChild`."""

    def __init__(self) -> None:
        """Store the command; the first `read` starts the child."""
        # By its path, and with -P: the child must not import from the working directory or this
        # folder, whose file names may hide other packages.
        lists = (ALLOWED_CONTAINERS, ALLOWED_DECODERS, json.dumps(DEEP_PROBE))
        super().__init__([sys.executable, "-P", str(_CHILD), *lists])

    def read(self, url: str, *, timeout_seconds: float) -> Header | ProbeFailure:
        """Read the header of one file.

        Args:
            url: a ``file:`` URL as libav understands it, without percent escapes.
            timeout_seconds: after this time the child is killed; the next call starts another.

        Returns:
            The header, or a failure with reason ``refused``, ``unsupported_format``, ``unreadable``
            or ``timeout``.
        """
        limit_seconds = math.ceil(timeout_seconds) + 1
        request = json.dumps({"url": url, "limit_seconds": limit_seconds}) + "\n"
        try:
            line = self.ask(request.encode(), timeout_seconds)
        except TimeoutError:
            words = f"the header was not read within {timeout_seconds:g} s"
            return ProbeFailure(Reason.TIMEOUT, words)
        except EOFError as error:
            return ProbeFailure(Reason.UNREADABLE, f"the process that reads headers {error}")
        return parse_answer(line)


def _reason(refused_format: str | None) -> Reason:
    if refused_format is None:
        return Reason.UNREADABLE
    return Reason.REFUSED if may_reach_out(refused_format) else Reason.UNSUPPORTED_FORMAT


def parse_answer(line: str | bytes) -> Header | ProbeFailure:
    """Parse one line of the child's output."""
    answer: dict[str, Any] = json.loads(line)
    if "words" in answer:
        return ProbeFailure(_reason(answer["refused"]), answer["words"])
    tracks = tuple(AudioTrack(**track) for track in answer["tracks"])
    videos = tuple(VideoTrack(**video) for video in answer["videos"])
    return Header(answer["container"], answer["seconds"], tracks, answer["begins_late"], videos)
