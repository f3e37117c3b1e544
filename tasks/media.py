"""From a media file to a waveform: one header read, one bounded run of ffmpeg.

What was decoded decides over a clip, never an exit status: ffmpeg leaves with 0 where it decoded
nothing, and with an error where it decoded all there is.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE, samples_to_seconds, seconds_to_samples
from tasks.decoder import Decoded, decode, ffmpeg_version, find_ffmpeg
from tasks.outcomes import Reason
from tasks.probe import AudioTrack, Header, ProbeFailure, Prober

__all__ = [
    "MAX_CLIP_SECONDS",
    "TIMEOUT_SECONDS",
    "Extraction",
    "Rejection",
    "Source",
    "choose_track",
    "extract",
    "ffmpeg_version",
    "find_ffmpeg",
]

MAX_CLIP_SECONDS = 2 * 3600.0
"""No clip gives more than two hours (230 MB of int16), whatever is asked for."""

TIMEOUT_SECONDS = 120.0
"""For one clip, header and decoding together."""

_DETAIL_CHARS = 300
# Headers round, decoders keep or drop the encoder's padding (0.05 s for AAC), and of a cut
# MPEG stream the first frame may be lost: real clips that are whole miss up to 0.09 s.
_SHORT_SECONDS = 0.1
_SHORT_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is known of the audio track a waveform came from, or should have come from.

    Attributes:
        codec: libav's name of the codec.
        sampling_rate: Hz of the track itself.
        channels: Number of channels of the track itself.
        track: Which of the file's audio tracks, counted from 1.
        num_tracks: Number of audio tracks in the file.
        declared_seconds: Duration that the track declares, else the container's.
    """

    codec: str | None = None
    sampling_rate: int | None = None
    channels: int | None = None
    track: int | None = None
    num_tracks: int | None = None
    declared_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Extraction(Source):
    """The audio of a clip.

    Attributes:
        waveform: int16 (samples,), 16 kHz mono, at least one sample, read-only.
        truncated: The track goes on after the last sample.
        short_decode: The track declares over 10 % and over 0.1 s more than could be decoded.
    """

    waveform: NDArray[np.int16]
    truncated: bool
    short_decode: bool


@dataclass(frozen=True, kw_only=True)
class Rejection(Source):
    """A clip without a waveform: why, and one line (at most 300 characters) in the tool's words."""

    reason: Reason
    detail: str


def extract(
    path: Path,
    *,
    max_seconds: float | None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    prober: Prober | None = None,
) -> Extraction | Rejection:
    """Decode the best audio track of a media file to 16 kHz mono.

    The waveform begins with the track's first sample, also where the track begins late.

    Args:
        path: A regular file of any name.
        max_seconds: Seconds from the start to decode; None for all, up to ``MAX_CLIP_SECONDS``.
        timeout_seconds: Wall-clock limit for reading the header and decoding together.
        prober: Reads the header; without one, a process is started for this call (0.1 s).

    Returns:
        The audio, or why there is none; no file, however damaged, raises an error.

    Raises:
        ConfigError: ``max_seconds`` is less than one sample.
        MediaToolError: There is no usable ffmpeg.
    """
    if prober is None:
        with Prober() as own:
            return extract(
                path, max_seconds=max_seconds, timeout_seconds=timeout_seconds, prober=own
            )
    num_wanted = _num_wanted(max_seconds)
    deadline = time.monotonic() + timeout_seconds
    rejection = _reject_path(path)
    if rejection is not None:
        return rejection
    url = f"file:{path.absolute()}"
    header = prober.read(url, timeout_seconds=timeout_seconds)
    if isinstance(header, ProbeFailure):
        return Rejection(reason=header.reason, detail=_one_line(header.words))
    if not header.tracks:
        words = f"no audio track in {header.container}"
        return Rejection(reason=Reason.NO_AUDIO_TRACK, detail=words, num_tracks=0)
    track = choose_track(header.tracks)
    rejection = _reject_track(header, track)
    if rejection is not None:
        return rejection
    # One sample more than wanted tells that the track goes on.
    decoded = decode(
        url,
        track.index,
        num_samples=num_wanted + 1,
        timeout_seconds=max(deadline - time.monotonic(), 0.0),
    )
    return _judge(decoded, header, track, num_wanted)


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


def _num_wanted(max_seconds: float | None) -> int:
    if max_seconds is None:
        return seconds_to_samples(MAX_CLIP_SECONDS)
    if not max_seconds * SAMPLING_RATE >= 1:  # nor a NaN
        raise ConfigError(
            f"found max_seconds={max_seconds}, expected one sample or more; "
            "give seconds above 0, or None for all"
        )
    return seconds_to_samples(min(max_seconds, MAX_CLIP_SECONDS))


def _reject_path(path: Path) -> Rejection | None:
    """Reject what is no regular file: reading a pipe or a device may never end."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        return Rejection(reason=Reason.MISSING, detail=str(error.strerror))
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        return Rejection(reason=Reason.UNREADABLE, detail=_one_line(str(words)))
    if not stat.S_ISREG(status.st_mode):
        return Rejection(reason=Reason.UNREADABLE, detail="not a regular file")
    if status.st_size == 0:
        return Rejection(reason=Reason.UNREADABLE, detail="the file is empty")
    return None


def _reject_track(header: Header, track: AudioTrack) -> Rejection | None:
    """Reject what is not to be decoded; a codec that libav does not know is left to ffmpeg."""
    if track.encrypted:
        words = f"the {track.codec} track is encrypted"
        return Rejection(reason=Reason.ENCRYPTED, detail=words, **_source(header, track))
    if track.codec is not None and not track.allowed:
        words = f"{track.codec} is not on the list of allowed decoders"
        return Rejection(reason=Reason.UNSUPPORTED_CODEC, detail=words, **_source(header, track))
    return None


def _judge(
    decoded: Decoded, header: Header, track: AudioTrack, num_wanted: int
) -> Extraction | Rejection:
    source = _source(header, track)
    num_decoded = decoded.waveform.size
    if decoded.timed_out:
        words = f"stopped at the time limit: {decoded.words}"
        return Rejection(reason=Reason.TIMEOUT, detail=_one_line(words), **source)
    if not track.allowed or (decoded.no_decoder and not num_decoded):
        words = _one_line(decoded.words)
        return Rejection(reason=Reason.UNSUPPORTED_CODEC, detail=words, **source)
    if not num_decoded:
        return Rejection(reason=Reason.NO_SAMPLES, detail=_one_line(decoded.words), **source)
    return Extraction(
        waveform=decoded.waveform[:num_wanted],
        truncated=num_decoded > num_wanted,
        short_decode=_is_short(track.seconds, num_wanted, num_decoded),
        **source,
    )


def _is_short(declared_seconds: float | None, num_wanted: int, num_decoded: int) -> bool:
    if declared_seconds is None:
        return False
    expected_seconds = min(declared_seconds, samples_to_seconds(num_wanted))
    lost_seconds = expected_seconds - samples_to_seconds(num_decoded)
    return lost_seconds > max(_SHORT_SECONDS, _SHORT_SHARE * expected_seconds)


def _source(header: Header, track: AudioTrack) -> dict[str, Any]:
    return {
        "codec": track.codec,
        "sampling_rate": track.sampling_rate,
        "channels": track.channels,
        "track": header.tracks.index(track) + 1,
        "num_tracks": len(header.tracks),
        "declared_seconds": header.seconds if track.seconds is None else track.seconds,
    }


def _one_line(words: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in words)
    return " ".join(printable.split())[:_DETAIL_CHARS]
