"""Reads media headers in a long-lived child process, which may crash without harm."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.processes.line_child import LineChild
from tasks.schema.outcomes import Reason

ALLOWED_CONTAINERS = (
    "mov,matroska,avi,flv,mpegts,mpeg,asf,mxf,dv,ogg,wav,w64,aiff,au,caf,flac,mp3,aac,ac3,eac3,"
    "amr,wv"
)
"""Containers with their own media. Playlists and scripts (hls, dash, concat, sdp, ...) refer to
other files and are not allowed."""

ALLOWED_DECODERS = (
    "aac,aac_fixed,aac_latm,ac3,ac3_fixed,eac3,dca,mlp,truehd,"
    "mp1,mp1float,mp2,mp2float,mp3,mp3float,mp3adu,mp3adufloat,mp3on4,mp3on4float,"
    "opus,libopus,vorbis,libvorbis,speex,flac,alac,als,ape,tta,wavpack,"
    "amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,gsm,gsm_ms,qcelp,evrc,nellymoser,qdm2,mace3,"
    "mace6,wmav1,wmav2,wmapro,wmalossless,wmavoice,"
    "adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,g722,g723_1,g726,g729,"
    "pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_s8,pcm_u8,"
    "pcm_s16be,pcm_s16le,pcm_s16be_planar,pcm_s16le_planar,pcm_s24be,pcm_s24le,pcm_s24le_planar,"
    "pcm_s32be,pcm_s32le,pcm_s32le_planar,pcm_s64be,pcm_s64le,pcm_u16be,pcm_u16le,pcm_u24be,"
    "pcm_u24le,pcm_u32be,pcm_u32le,s302m,dvaudio"
)
"""Audio decoders only: a damaged picture in a clip cannot reach a picture decoder."""

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
    """

    index: int
    codec: str | None
    allowed: bool
    encrypted: bool
    sampling_rate: int | None
    channels: int | None
    default: bool
    seconds: float | None


@dataclass(frozen=True)
class Header:
    """A media file's header: container, declared seconds or None, audio tracks."""

    container: str
    seconds: float | None
    tracks: tuple[AudioTrack, ...]


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
        super().__init__([sys.executable, "-P", str(_CHILD), ALLOWED_CONTAINERS, ALLOWED_DECODERS])

    def read(self, url: str, *, timeout_seconds: float) -> Header | ProbeFailure:
        """Read the header of one file.

        Args:
            url: a ``file:`` URL as libav understands it, without percent escapes.
            timeout_seconds: after this time the child is killed; the next call starts another.

        Returns:
            The header, or a failure with reason ``refused``, ``unreadable`` or ``timeout``.
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


def parse_answer(line: str | bytes) -> Header | ProbeFailure:
    """Parse one line of the child's output."""
    answer: dict[str, Any] = json.loads(line)
    if "words" in answer:
        reason = Reason.REFUSED if answer["refused"] else Reason.UNREADABLE
        return ProbeFailure(reason, answer["words"])
    tracks = tuple(AudioTrack(**track) for track in answer["tracks"])
    return Header(answer["container"], answer["seconds"], tracks)
