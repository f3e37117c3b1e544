"""Finds ffmpeg and runs it, within limits, to decode the start of audio tracks."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import ffmpeg
import imageio_ffmpeg

from emi_model.errors import MediaToolError
from emi_model.units import SAMPLING_RATE
from tasks.extraction.formats import ALLOWED_CONTAINERS, ALLOWED_DECODERS, DEEP_PROBE
from tasks.extraction.mixing import Mixing, mix_filter
from tasks.extraction.sound import Sound, max_matroska_bytes, ogg_links, read_matroska
from tasks.processes.bounded import STDERR_TAIL_BYTES, Finished, run_bounded, run_piped

# By default a filter starts a thread for each core; here they would have no work.
_QUIET = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-filter_threads", "1")
# glibc may reserve a memory pool for every thread, and the memory limit counts what is reserved:
# on a machine of many cores, five threads for each of many clips would reach it.
_FEW_ARENAS = {"MALLOC_ARENA_MAX": "4"}
_VERSION_SECONDS = 30.0
_VERSION_BYTES = 64 * 1024

_URL_STAND_IN = "file:clip{}"
_LOG_PREFIX = re.compile(r"\[[^\]]* @ [^\]]*\]\s*")
_NAMED_INPUT = re.compile(r"\[in#(\d+)")
# Picture codecs outside the whitelist, outputs that ffmpeg did not open: no reason to report.
_EXPECTED = re.compile(r"not on whitelist|Error opening output|Last message repeated")
_ENDED_EARLY = re.compile(
    r"Error during demuxing|Error retrieving a packet|Packet processing failed"
    r"|Task finished with error code"
)
_NO_DECODER = re.compile(r"no decoder found|Decoder \(.*\) not found|Unknown decoder")


@dataclass(frozen=True)
class TrackOfFile:
    """One track of one file.

    Attributes:
        url: A ``file:`` URL as libav understands it, without percent escapes.
        index: The track's place among all streams of the file.
        channels: Number of its channels; None if the header has none.
        mixing: How they become one.
        begins_late: Its first packet lies deep in the file.
        skip_bytes: How much of the file is left out.
    """

    url: str
    index: int
    channels: int | None = None
    mixing: Mixing = Mixing.LAYOUT
    begins_late: bool = False
    skip_bytes: int = 0


class Decoded(NamedTuple):
    """The result of one run of ffmpeg.

    Attributes:
        sound: Its samples, possibly none.
        words: ffmpeg's distinct error messages, without the file's path.
        timed_out: It was stopped at the time limit.
        no_decoder: It reported that it has no decoder for this track.
        ended_early: It reported that it could not read the file to its end.
    """

    sound: Sound
    words: str
    timed_out: bool
    no_decoder: bool
    ended_early: bool


def find_ffmpeg() -> str:
    """Return the ffmpeg to run: ``EMI_FFMPEG`` (a path or a name) if set, else the wheel's.

    Raises:
        MediaToolError: None can be executed.
    """
    wanted = os.environ.get("EMI_FFMPEG")
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise MediaToolError(
                f"found EMI_FFMPEG={wanted!r}, expected an executable; correct or unset it"
            )
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MediaToolError(
            "found no ffmpeg, expected the one of the imageio-ffmpeg wheel; "
            "reinstall imageio-ffmpeg or set EMI_FFMPEG to an executable"
        ) from error


def ffmpeg_version() -> str:
    """Return the version that ffmpeg states, such as ``7.1`` or ``n9.0.2-17-g2a571b6068``.

    Raises:
        MediaToolError: There is no ffmpeg, or ``EMI_FFMPEG`` is another program.
    """
    executable = find_ffmpeg()
    finished = _run([executable, "-version"], _VERSION_SECONDS, _VERSION_BYTES)
    stated = re.match(r"ffmpeg version (\S+)", finished.stdout.decode("utf-8", errors="replace"))
    if stated is None:
        raise MediaToolError(
            f"found {executable!r} that states no version, expected ffmpeg; set EMI_FFMPEG to one"
        )
    return stated[1]


def decode(track: TrackOfFile, *, num_samples: int, timeout_seconds: float) -> Decoded:
    """Decode the first samples of one track to 16 kHz mono.

    Args:
        track: What to decode.
        num_samples: Samples at 16 kHz after which to stop.
        timeout_seconds: Wall-clock limit.

    Raises:
        MediaToolError: There is no usable ffmpeg; no file raises an error.
    """
    output = _output(0, track, "pipe:", num_samples)
    command = _command([find_ffmpeg(), *_QUIET], output, [track.url])
    finished = _run(command, timeout_seconds, max_matroska_bytes(num_samples))
    lines = _error_lines(finished, track.url)
    return Decoded(
        sound=read_matroska(finished.stdout),
        words=_in_words(finished, lines),
        timed_out=finished.timed_out,
        no_decoder=any(_NO_DECODER.search(line) for line in lines),
        ended_early=finished.over_limit or any(_ENDED_EARLY.search(line) for line in lines),
    )


def decode_links(
    track: TrackOfFile, begun: Decoded, *, num_samples: int, timeout_seconds: float
) -> Decoded:
    """Decode what ffmpeg left out of a chained Ogg file; return ``begun`` with it, if there is any.

    Args:
        track: As for `decode`.
        begun: What `decode` returned.
        num_samples: As for `decode`.
        timeout_seconds: Wall-clock limit of all the rest.
    """
    deadline = time.monotonic() + timeout_seconds
    for link in ogg_links(track.url.removeprefix("file:")):
        missing, left = num_samples - begun.sound.waveform.size, deadline - time.monotonic()
        if missing <= 0 or left <= 0:
            break
        rest = TrackOfFile(track.url, track.index, skip_bytes=link)
        part = decode(rest, num_samples=missing, timeout_seconds=left)
        if part.timed_out or not part.sound.waveform.size:
            break
        sound = begun.sound.followed_by(part.sound)
        begun = begun._replace(sound=sound, ended_early=part.ended_early)
    return begun


def decode_together(
    tracks: Sequence[TrackOfFile], *, num_samples: int, timeout_seconds: float
) -> list[Sound | None]:
    """Decode the first samples of tracks of several files in one run, each into its own pipe.

    One track may break the run for all: ffmpeg may refuse to start, stop early, crash or hang.
    Samples of a broken run do not count, except those of tracks with all ``num_samples``. Nor do
    those of a file that ffmpeg could not read to its end.

    Args:
        tracks: What to decode.
        num_samples: Samples at 16 kHz after which to stop, each.
        timeout_seconds: Wall-clock limit of the run.

    Returns:
        For each track the same sound as `decode`; None if it is not complete.

    Raises:
        MediaToolError: There is no ffmpeg.
    """
    executable = find_ffmpeg()

    def command(pipes: Sequence[int]) -> list[str]:
        # No flush after every packet: the output of a run that fails is not used.
        outputs = [
            _output(place, track, f"pipe:{pipe}", num_samples, flush_packets=0)
            for place, (track, pipe) in enumerate(zip(tracks, pipes, strict=True))
        ]
        # ffmpeg shall not stop the other tracks if most of one cannot be decoded.
        quiet = [executable, *_QUIET, "-max_error_rate", "1"]
        return _command(quiet, ffmpeg.merge_outputs(*outputs), [track.url for track in tracks])

    try:
        finished = run_piped(
            command,
            num_pipes=len(tracks),
            timeout_seconds=timeout_seconds,
            max_pipe_bytes=max_matroska_bytes(num_samples),
            environment=_FEW_ARENAS,
        )
    except OSError:  # too many pipes or no ffmpeg; decoding each by itself will show it
        return [None] * len(tracks)
    sounds = map(read_matroska, finished.outputs)
    early = _ended_early(finished, len(tracks))
    is_whole = finished.exit_status == 0
    return [
        sound if sound.waveform.size == num_samples or (is_whole and place not in early) else None
        for place, sound in enumerate(sounds)
    ]


def _ended_early(finished: Finished, num_files: int) -> set[int]:
    """Return the places of files that ffmpeg could not read to their end; all if it names none."""
    early: set[int] = set()
    for line in finished.stderr_tail.splitlines():
        if _ENDED_EARLY.search(line):
            named = _NAMED_INPUT.search(line)
            early |= {int(named[1])} if named else set(range(num_files))
    return early


def _output(place: int, track: TrackOfFile, target: str, num_samples: int, **options: Any) -> Any:
    """Return the part of a command that decodes the track of one file."""
    # Not -t: it counts from the container's start, so a track that begins late would lose its end.
    # The filter counts the track's own samples.
    first_samples = (
        f"{mix_filter(track.mixing, track.channels)}"
        f"aformat=sample_fmts=s16:sample_rates={SAMPLING_RATE}:channel_layouts=mono,"
        f"atrim=end_sample={num_samples}"
    )
    source = ffmpeg.input(
        _URL_STAND_IN.format(place),
        protocol_whitelist="file",
        format_whitelist=ALLOWED_CONTAINERS,
        codec_whitelist=ALLOWED_DECODERS,
        threads=1,
        **(DEEP_PROBE if track.begins_late else {}),
        **({"skip_initial_bytes": track.skip_bytes} if track.skip_bytes else {}),
    )
    return source[str(track.index)].output(
        target,
        format="matroska",  # it carries times
        map_metadata=-1,
        map_chapters=-1,
        acodec="pcm_s16le",
        ac=1,
        ar=SAMPLING_RATE,
        af=first_samples,
        vn=None,
        sn=None,
        dn=None,
        **options,
    )


def _command(executable: Sequence[str], outputs: Any, urls: Sequence[str]) -> list[str]:
    # ffmpeg-python accepts only names in valid UTF-8; a process accepts all.
    names = {_URL_STAND_IN.format(place): url for place, url in enumerate(urls)}
    return [names.get(arg, arg) for arg in outputs.compile(cmd=list(executable))]


def _run(command: Sequence[str], timeout_seconds: float, max_stdout_bytes: int) -> Finished:
    try:
        return run_bounded(
            command, timeout_seconds=timeout_seconds, max_stdout_bytes=max_stdout_bytes
        )
    except OSError as error:
        raise MediaToolError(
            f"found {command[0]!r} that cannot be started ({error.strerror}), expected ffmpeg; "
            "set EMI_FFMPEG to a working one"
        ) from error


def _error_lines(finished: Finished, url: str) -> list[str]:
    """Return stderr's distinct lines without the file's path and the names of libav's objects."""
    shown_url = os.fsencode(url).decode("utf-8", errors="replace")
    tail = finished.stderr_tail
    if len(tail.encode()) >= STDERR_TAIL_BYTES:
        tail = tail.partition("\n")[2]  # its first line may be half a line
    lines = (
        _LOG_PREFIX.sub("", line).strip()
        for line in tail.replace(shown_url, "the clip").splitlines()
    )
    return list(dict.fromkeys(line for line in lines if line and not _EXPECTED.search(line)))


def _in_words(finished: Finished, lines: Sequence[str]) -> str:
    """Return ffmpeg's lines as one, or how it ended."""
    if lines or finished.exit_status is None:
        return "; ".join(lines) or "no message"
    return f"no message, exit status {finished.exit_status}"
