"""Media headers, read by a resident child process that may crash without harm."""

from __future__ import annotations

import json
import math
import os
import selectors
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tasks.processes.bounded import kill_group, start_limited
from tasks.schema.outcomes import Reason

ALLOWED_CONTAINERS = (
    "mov,matroska,avi,flv,mpegts,mpeg,asf,mxf,dv,ogg,wav,w64,aiff,au,caf,flac,mp3,aac,ac3,eac3,"
    "amr,wv"
)
"""Containers that hold their own media. Playlists and scripts (hls, dash, concat, sdp, ...) name
other files and are not among them."""

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
"""Decoders, all of audio: a damaged picture in a clip cannot reach a decoder of pictures."""

_CHILD = Path(__file__).with_name("headers_child.py")
_ATTEMPTS = 2
_MAX_ANSWER_BYTES = 4 * 1024**2
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class AudioTrack:
    """One audio track as its header describes it.

    Attributes:
        index: Place among all streams of the file, as in ffmpeg's ``-map 0:INDEX``.
        codec: Name of the codec; None if libav knows no decoder.
        allowed: Its decoder is one of ``ALLOWED_DECODERS``.
        encrypted: It needs a key.
        sampling_rate: Hz; None if the header does not say.
        channels: Number of channels; None if the header does not say.
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
    """What a media file says of itself: container, declared seconds or None, audio tracks."""

    container: str
    seconds: float | None
    tracks: tuple[AudioTrack, ...]


@dataclass(frozen=True)
class ProbeFailure:
    """A header that could not be read, and why in libav's words."""

    reason: Reason
    words: str


class Prober:
    """Handle on the child process; started at the first call, again after each of its deaths.

    May be shared by threads, which then take turns. Close it, or use it as a context manager.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return self._child.pid if self._child else None

    def read(self, url: str, *, timeout_seconds: float) -> Header | ProbeFailure:
        """Read the header of one file.

        Args:
            url: A ``file:`` URL as libav understands it, without percent escapes.
            timeout_seconds: After this time the child is killed; the next call starts another.

        Returns:
            The header, or a failure with reason ``refused``, ``unreadable`` or ``timeout``.
        """
        limit_seconds = math.ceil(timeout_seconds) + 1
        request = json.dumps({"url": url, "limit_seconds": limit_seconds}) + "\n"
        with self._lock:
            try:
                line = self._ask(request.encode(), time.monotonic() + timeout_seconds)
            except TimeoutError:
                words = f"the header was not read within {timeout_seconds:g} s"
                return ProbeFailure(Reason.TIMEOUT, words)
            except EOFError as error:
                return ProbeFailure(Reason.UNREADABLE, str(error))
        return parse_answer(line)

    def close(self) -> None:
        """End the child; a later ``read`` starts a new one."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _ask(self, request: bytes, deadline: float) -> bytes:
        """Send the request, a second time if the child was dead or died of something else."""
        for _ in range(_ATTEMPTS):
            if self._child is None:
                self._child = _start_child()
            try:
                return _exchange(self._child, request, deadline)
            except TimeoutError:
                self._drop()
                raise
            except (BrokenPipeError, EOFError):
                status = self._drop()
        raise EOFError(f"the process that reads headers died with exit status {status}")

    def _drop(self) -> int | None:
        if self._child is None:
            return None
        child, self._child = self._child, None
        kill_group(child)
        return child.returncode


def _start_child() -> subprocess.Popen[bytes]:
    # By its path, and with -P: neither the working directory nor this folder, whose names may
    # hide other packages, is where the child looks for its imports.
    command = [sys.executable, "-P", str(_CHILD), ALLOWED_CONTAINERS, ALLOWED_DECODERS]
    return start_limited(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _exchange(child: subprocess.Popen[bytes], request: bytes, deadline: float) -> bytes:
    """Return the answer's line.

    Raises:
        TimeoutError: It was not there at the deadline.
        BrokenPipeError: The child was dead.
        EOFError: The child died, or its answer has no end.
    """
    assert child.stdin is not None, "a pipe was asked for"
    assert child.stdout is not None, "a pipe was asked for"
    # Cannot block: the pipe is empty and a path is shorter than a pipe is wide.
    child.stdin.write(request)
    answer = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while not answer.endswith(b"\n"):
            if not selector.select(max(deadline - time.monotonic(), 0.0)):
                raise TimeoutError
            piece = os.read(child.stdout.fileno(), _PIECE_BYTES)
            answer += piece
            if not piece or len(answer) > _MAX_ANSWER_BYTES:
                raise EOFError
    return bytes(answer)


def parse_answer(line: str | bytes) -> Header | ProbeFailure:
    """Return what a line of the child says."""
    answer: dict[str, Any] = json.loads(line)
    if "words" in answer:
        reason = Reason.REFUSED if answer["refused"] else Reason.UNREADABLE
        return ProbeFailure(reason, answer["words"])
    tracks = tuple(AudioTrack(**track) for track in answer["tracks"])
    return Header(answer["container"], answer["seconds"], tracks)
