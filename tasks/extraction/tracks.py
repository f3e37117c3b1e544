"""Chooses the audio and the video track of a media file that are decoded, or rejects the file."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.extraction.decoding.mixing import MAX_CHANNELS, Mixing
from tasks.extraction.headers import AudioTrack, Header, ProbeFailure, Prober, VideoTrack
from tasks.schema.outcomes import Reason, Rejection

MIN_START_SECONDS = 0.1
"""Encoders pad and headers round: sound that begins less late begins with the recording."""

MAX_START_SECONDS = 24 * 3600.0
"""Sound that begins later has a wrong time."""

_DETAIL_CHARS = 300
_ADDRESS = re.compile(r"\b0x[0-9a-f]{9,}\b")


@dataclass(frozen=True)
class Decodable:
    """A track that is to be decoded.

    Attributes:
        url: The file, as libav understands it.
        header: Its header.
        track: One of its tracks.
        seconds_left: Rest of the clip's time limit after the header was read.
    """

    url: str
    header: Header
    track: AudioTrack
    seconds_left: float

    def source(self) -> dict[str, Any]:
        """Return the fields of a `Source`."""
        return _source(self.header, self.track)


@dataclass(frozen=True)
class Visible:
    """A video track that is to be decoded.

    Attributes:
        url: The file, as libav understands it.
        header: Its header.
        video: One of its video tracks.
        seconds_left: Rest of the clip's time limit after the header was read.
    """

    url: str
    header: Header
    video: VideoTrack
    seconds_left: float


@dataclass(frozen=True)
class Tracks:
    """The tracks of one file, or why it has none of a kind."""

    sound: Decodable | Rejection
    sight: Visible | Rejection


def find_track(path: Path, prober: Prober, timeout_seconds: float) -> Decodable | Rejection:
    """Read a file's header and choose its audio track, as `find_tracks` does."""
    return find_tracks(path, prober, timeout_seconds).sound


def find_tracks(path: Path, prober: Prober, timeout_seconds: float) -> Tracks:
    """Read a file's header and choose its tracks.

    Args:
        path: A regular file of any name.
        prober: Reads the header.
        timeout_seconds: Wall-clock limit of the clip, from now on.

    Returns:
        The tracks, or rejections; no file, however damaged, raises an error.
    """
    deadline = time.monotonic() + timeout_seconds
    rejection = reject_path(path)
    if rejection is not None:
        return Tracks(rejection, rejection)
    url = f"file:{path.absolute()}"
    header = prober.read(url, timeout_seconds=timeout_seconds)
    if isinstance(header, ProbeFailure):
        rejection = Rejection(reason=header.reason, detail=one_line(header.words))
        return Tracks(rejection, rejection)
    seconds_left = max(deadline - time.monotonic(), 0.0)
    return Tracks(_sound(url, header, seconds_left), _sight(url, header, seconds_left))


def _sound(url: str, header: Header, seconds_left: float) -> Decodable | Rejection:
    if not header.tracks:
        words = f"no audio track in {header.container}"
        return Rejection(reason=Reason.NO_AUDIO_TRACK, detail=words, num_tracks=0)
    track = choose_track(header.tracks)
    rejection = _reject_track(header, track)
    return rejection or Decodable(url, header, track, seconds_left)


def _sight(url: str, header: Header, seconds_left: float) -> Visible | Rejection:
    if not header.videos:
        words = f"no video track in {header.container}"
        return Rejection(reason=Reason.NO_VIDEO, detail=words)
    video = choose_video(header.videos)
    if not video.allowed:
        words = f"{video.codec} is not on the list of allowed video decoders"
        return Rejection(reason=Reason.UNSUPPORTED_CODEC, detail=words)
    return Visible(url, header, video, seconds_left)


def choose_video(videos: Sequence[VideoTrack]) -> VideoTrack:
    """Return the video track to decode: allowed, marked as default, largest, first, in this order.

    Args:
        videos: The file's video tracks in their order, at least one.
    """
    return max(videos, key=lambda video: (video.allowed, video.default, video.num_pixels))


def choose_track(tracks: Sequence[AudioTrack]) -> AudioTrack:
    """Return the audio track to decode.

    Tracks that can be decoded go before those that cannot, then tracks marked as default before
    those that are not, then the highest sampling rate, then the first.

    Args:
        tracks: The file's audio tracks in their order, at least one.
    """

    def rank(track: AudioTrack) -> tuple[bool, bool, int]:
        decodable = track.allowed and not track.encrypted
        return decodable, track.default, track.sampling_rate or 0

    return max(tracks, key=rank)


def one_line(words: str) -> str:
    """Return a tool's messages as one line, of a long one those that a rejection's detail holds.

    Addresses of its objects in memory are left out.

    Args:
        words: Messages with a semicolon between them.
    """
    printable = "".join(char if char.isprintable() else " " for char in _ADDRESS.sub("", words))
    line = " ".join(printable.split())
    if len(line) <= _DETAIL_CHARS:
        return line
    kept = line[:_DETAIL_CHARS]
    if "; " in kept:
        return kept.rpartition("; ")[0]
    return kept[: _DETAIL_CHARS - 2].rpartition(" ")[0] + " …"


def reject_path(path: Path) -> Rejection | None:
    """Reject a path that is no regular file: reading a pipe or a device may never end."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        return Rejection(reason=Reason.MISSING, detail=str(error.strerror))
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        return Rejection(reason=Reason.UNREADABLE, detail=one_line(str(words)))
    if not stat.S_ISREG(status.st_mode):
        return Rejection(reason=Reason.UNREADABLE, detail="not a regular file")
    if status.st_size == 0:
        return Rejection(reason=Reason.UNREADABLE, detail="the file is empty")
    return None


def _reject_track(header: Header, track: AudioTrack) -> Rejection | None:
    """Reject a track that must not be decoded; ffmpeg decides on codecs that libav lacks."""
    if track.encrypted:
        words = f"the {track.codec or 'audio'} track is encrypted"
        return Rejection(reason=Reason.ENCRYPTED, detail=words, **_source(header, track))
    if track.codec is not None and not track.allowed:
        words = f"{track.codec} is not on the list of allowed decoders"
        return Rejection(reason=Reason.UNSUPPORTED_CODEC, detail=words, **_source(header, track))
    if (track.channels or 0) > MAX_CHANNELS and track.mixing is not Mixing.LAYOUT:
        words = f"found {track.channels} channels, expected {MAX_CHANNELS} at most"
        return Rejection(reason=Reason.UNSUPPORTED_FORMAT, detail=words, **_source(header, track))
    return None


def _source(header: Header, track: AudioTrack) -> dict[str, Any]:
    return {
        "codec": track.codec,
        "sampling_rate": track.sampling_rate,
        "channels": track.channels,
        "track": header.tracks.index(track) + 1,
        "num_tracks": len(header.tracks),
        "declared_seconds": header.seconds if track.seconds is None else track.seconds,
        "audio_start_seconds": _start_seconds(track),
    }


def _start_seconds(track: AudioTrack) -> float | None:
    start = track.start_seconds
    if start is None or start > MAX_START_SECONDS:
        return None
    return 0.0 if start < MIN_START_SECONDS else start
