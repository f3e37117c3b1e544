"""The process behind ``tasks.extraction.headers``: reads media headers with PyAV.

Run as ``python headers_child.py CONTAINERS DECODERS DEEP``: two lists separated by commas, and
libav's options with which it looks deep into a file, as JSON. A request is one line,
``{"url": "file:...", "limit_seconds": 120}``. Its answer, one line of JSON, holds either
``container``, ``seconds``, ``tracks``, ``videos`` and ``begins_late``, or ``words`` and
``refused``: the name of a format that is not allowed, else null. It imports nothing of this
project: libav reads untrusted bytes, and if these crash this process, little is lost and a new one
starts in 0.1 s.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from types import MappingProxyType
from typing import IO, Any

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard, Disposition

NO_OPTIONS: Mapping[str, str] = MappingProxyType({})

Logs = list[tuple[int, str, str]]
"""Level, the part of libav that logs (such as the container's format), and its message."""

_REFUSALS = ("Format not on whitelist", "Not detecting m3u8")
_FIRST_PACKETS = 256
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_WITHOUT_INDEX = ("mpeg", "mpegts")
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def serve(
    requests: Iterable[str], answers: IO[str], containers: str, decoders: str, deep: str
) -> None:
    """Answer every request line with one line, until the requests end."""
    av.logging.set_level(av.logging.WARNING)
    # A message must not be left out because the previous file's last one was the same.
    av.logging.set_skip_repeated(False)
    for line in requests:
        request = json.loads(line)
        # If the parent has ended, nothing else would end a read that hangs.
        signal.alarm(request["limit_seconds"])
        answer = read_header(request["url"], containers, decoders)
        if _may_begin_late(answer):
            found = read_header(request["url"], containers, decoders, json.loads(deep))
            if found.get("tracks"):
                answer = found | {"begins_late": True}
        signal.alarm(0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def read_header(
    url: str, containers: str, decoders: str, options: Mapping[str, str] = NO_OPTIONS
) -> dict[str, Any]:
    """Open a media file with all whitelists set and return its answer as described above."""
    options = {
        **options,
        "protocol_whitelist": "file",
        "format_whitelist": containers,
        "codec_whitelist": decoders,
    }
    with av.logging.Capture() as logs:
        try:
            with av.open(url, options=options, metadata_errors="replace") as container:
                return _describe(container, logs, frozenset(decoders.split(",")))
        except FFmpegError as error:
            return _failure(error, logs)


def _may_begin_late(answer: dict[str, Any]) -> bool:
    """Return whether libav saw too little of a file to describe its audio.

    Broadcasts and discs have no list of what is in them, or one without details.
    """
    if answer.get("container") not in _WITHOUT_INDEX:
        return False
    return not answer["tracks"] or any(not track["sampling_rate"] for track in answer["tracks"])


def _failure(error: FFmpegError, logs: Logs) -> dict[str, Any]:
    for _, part, message in logs:
        if message.startswith(_REFUSALS):
            kind = part or "hls"  # of these two messages, only that on hls has no name
            return {"refused": kind, "words": f"{kind} is not on the list of allowed containers"}
    words = [error.strerror or str(error)]
    for level, _, message in logs:
        # Picture codecs outside the whitelist are expected.
        if level <= av.logging.ERROR and "not on whitelist" not in message:
            words.append(message.strip())
    return {"refused": None, "words": "; ".join(dict.fromkeys(words))}


def _describe(container: InputContainer, logs: Logs, decoders: frozenset[str]) -> dict[str, Any]:
    starts = _starts(container)
    beginning = min(starts.values(), default=None)
    encrypted = _encrypted_tracks(container)
    tracks = []
    for stream in container.streams.audio:
        codec = stream.codec_context.codec if stream.codec_context else None
        tracks.append(
            {
                "index": stream.index,
                "codec": codec.canonical_name if codec else None,
                "allowed": codec is not None and codec.name in decoders,
                "encrypted": stream.index in encrypted,
                "sampling_rate": (codec and stream.codec_context.sample_rate) or None,
                "channels": (codec and stream.codec_context.channels) or None,
                "default": Disposition.default in stream.disposition,
                "seconds": _stream_seconds(stream),
                "layout": stream.codec_context.layout.name if codec else None,
                "start_seconds": _start_seconds(stream, beginning),
            }
        )
    seconds = container.duration / av.time_base if container.duration else None
    # A duration estimated from the bit rate is not declared by the file.
    if any(message.startswith("Estimating duration from bitrate") for _, _, message in logs):
        seconds = None
        tracks = [track | {"seconds": None} for track in tracks]
    name = container.format.name
    return {
        "container": name,
        "seconds": seconds,
        "tracks": tracks,
        "videos": _videos(container, starts),
        "begins_late": False,
    }


def _videos(container: InputContainer, starts: Mapping[int, float]) -> list[dict[str, Any]]:
    """Describe the video tracks, without pictures that are attached to a recording of sound."""
    beginning = min(starts.values(), default=0.0)
    return [
        {
            "index": stream.index,
            "codec": stream.codec_context.codec.name if stream.codec_context else None,
            "default": Disposition.default in stream.disposition,
            "num_pixels": stream.width * stream.height if stream.codec_context else 0,
            "start_seconds": starts[stream.index] - beginning if stream.index in starts else None,
            "frames_per_second": float(stream.average_rate) if stream.average_rate else None,
        }
        for stream in container.streams.video
        if not stream.disposition & _NO_VIDEO
    ]


def _starts(container: InputContainer) -> dict[int, float]:
    """Return the times at which streams of sound and pictures begin, in seconds, by their index.

    Without its decoder, libav guesses wrong where a stream of pictures begins: its first packet
    tells it. In MP4 the index does.
    """
    starts: dict[int, float] = {}
    unseen = set()
    has_index = "mov" in container.format.name
    for stream in (*container.streams.audio, *container.streams.video):
        if stream.type == "video" and not has_index:
            if Disposition.attached_pic not in stream.disposition:
                unseen.add(stream.index)
        elif stream.start_time is not None and stream.time_base:
            starts[stream.index] = float(stream.start_time * stream.time_base)
    with suppress(FFmpegError):
        for packet in islice(container.demux() if unseen else (), _FIRST_PACKETS):
            time = packet.dts if packet.pts is None else packet.pts
            if packet.stream_index in unseen and time is not None:
                unseen.discard(packet.stream_index)
                starts[packet.stream_index] = float(time * packet.time_base)
            if not unseen:
                break
    return starts


def _start_seconds(stream: AudioStream, beginning: float | None) -> float | None:
    """Return where a track begins, counted from the beginning of the file's first stream."""
    if beginning is None:
        return 0.0  # a file of sound alone, without times
    if stream.start_time is None or not stream.time_base:
        return None
    return max(float(stream.start_time * stream.time_base) - beginning, 0.0)


def _stream_seconds(stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    # Matroska has no such field, but its writers leave a tag with the time at which the track ends.
    clock = _CLOCK.match(stream.metadata.get("DURATION", ""))
    if not clock:
        return None
    hours, minutes, seconds = map(float, clock.groups())
    start = float((stream.start_time or 0) * (stream.time_base or 0))
    return 3600 * hours + 60 * minutes + seconds - max(start, 0.0)


def _encrypted_tracks(container: InputContainer) -> set[int]:
    """Return the indices of audio streams that need a key.

    Matroska marks them in the header. The mov demuxer hides it (codec and tag are those of the
    clear stream) and only marks packets, so this reads the first packet of each track.
    """
    audio = container.streams.audio
    found = {stream.index for stream in audio if "enc_key_id" in stream.metadata}
    if not audio or "mov" not in container.format.name:
        return found
    for stream in container.streams:
        if stream.type != "audio":
            stream.discard = Discard.all
    unseen = {stream.index for stream in audio}
    with suppress(FFmpegError):  # a damaged packet: decoding will show whether it matters
        for packet in islice(container.demux(audio), _FIRST_PACKETS):
            unseen.discard(packet.stream_index)
            if packet.has_sidedata("encryption_info"):
                found.add(packet.stream_index)
            if not unseen:
                break
    return found


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout, *sys.argv[1:])
