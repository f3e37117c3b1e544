"""Runs ffmpeg, within limits, to decode the start of audio tracks, and pictures beside them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from tasks.extraction.decoding.commands import (
    TrackOfFile,
    View,
    common_command,
    picture_command,
    sound_command,
)
from tasks.extraction.decoding.messages import (
    ended_early,
    error_lines,
    files_ended_early,
    lacks_decoder,
    what_it_said,
)
from tasks.extraction.decoding.mixing import Mixing
from tasks.extraction.decoding.pictures import DecodedPictures, max_picture_bytes, read_pictures
from tasks.extraction.decoding.sound import Sound, max_matroska_bytes, ogg_links, read_matroska
from tasks.extraction.ffmpeg import find_ffmpeg, run_ffmpeg
from tasks.processes.bounded import STDERR_TAIL_BYTES, run_piped

# glibc may reserve a memory pool for every thread, and the memory limit counts what is reserved:
# on a machine of many cores, five threads for each of many clips would reach it.
_FEW_ARENAS = {"MALLOC_ARENA_MAX": "4"}


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


class Seen(NamedTuple):
    """The pictures of one run of ffmpeg.

    Attributes:
        pictures: What was decoded, possibly none.
        words: ffmpeg's distinct error messages, without the file's path.
        timed_out: It was stopped at the time limit.
    """

    pictures: DecodedPictures
    words: str
    timed_out: bool


class Taken(NamedTuple):
    """What a common run gave of one file; None in place of what is not complete.

    Attributes:
        sound: Its samples.
        pictures: Its pictures; None, too, where none were wanted.
    """

    sound: Sound | None
    pictures: DecodedPictures | None


def decode(track: TrackOfFile, *, num_samples: int, timeout_seconds: float) -> Decoded:
    """Decode the first samples of one track to 16 kHz mono.

    Args:
        track: What to decode; its view is not looked at.
        num_samples: Samples at 16 kHz after which to stop.
        timeout_seconds: Wall-clock limit.

    Raises:
        MediaToolError: There is no usable ffmpeg; no file raises an error.
    """
    command = sound_command(find_ffmpeg(), track, "pipe:", num_samples)
    finished = run_ffmpeg(command, timeout_seconds, max_matroska_bytes(num_samples))
    lines = error_lines(finished, track.url)
    return Decoded(
        sound=read_matroska(finished.stdout),
        words=what_it_said(finished, lines),
        timed_out=finished.timed_out,
        no_decoder=lacks_decoder(lines),
        ended_early=finished.over_limit or ended_early(lines),
    )


def decode_links(
    track: TrackOfFile, begun: Decoded, *, num_samples: int, timeout_seconds: float
) -> Decoded:
    """Decode what ffmpeg left out of a chained Ogg file; return ``begun`` with it, if there is any.

    Args:
        track: As for `decode`. Other parts may have other channels: theirs are mixed by their
            layout, unless the first channel is wanted.
        begun: What `decode` returned.
        num_samples: As for `decode`.
        timeout_seconds: Wall-clock limit of all the rest.
    """
    deadline = time.monotonic() + timeout_seconds
    mixing = Mixing.FIRST if track.mixing is Mixing.FIRST else Mixing.LAYOUT
    for link in ogg_links(track.url.removeprefix("file:")):
        missing, left = num_samples - begun.sound.waveform.size, deadline - time.monotonic()
        if missing <= 0 or left <= 0:
            break
        rest = TrackOfFile(track.url, track.index, mixing=mixing, skip_bytes=link)
        part = decode(rest, num_samples=missing, timeout_seconds=left)
        if part.timed_out or not part.sound.waveform.size:
            break
        sound = begun.sound.followed_by(part.sound)
        begun = begun._replace(sound=sound, ended_early=part.ended_early)
    return begun


def decode_pictures(
    url: str,
    view: View,
    *,
    clock_index: int | None,
    timeout_seconds: float,
    begins_late: bool = False,
) -> Seen:
    """Decode the pictures of one file, without its sound.

    Args:
        url: The file's URL.
        view: The pictures.
        clock_index: As for `picture_command`.
        timeout_seconds: Wall-clock limit.
        begins_late: As for `picture_command`.

    Raises:
        MediaToolError: There is no usable ffmpeg; no file raises an error.
    """
    command = picture_command(
        find_ffmpeg(), url, view, "pipe:1", clock_index, begins_late=begins_late
    )
    finished = run_ffmpeg(command, timeout_seconds, max_picture_bytes(view.num_frames))
    lines = error_lines(finished, url)
    early = finished.exit_status != 0 or ended_early(lines)
    pictures = read_pictures(finished.stdout, ended_early=early)
    return Seen(pictures, what_it_said(finished, lines), finished.timed_out)


def decode_together(
    tracks: Sequence[TrackOfFile], *, num_samples: int, timeout_seconds: float
) -> list[Taken]:
    """Decode the first samples of tracks of several files in one run, each into its own pipe.

    Pictures of a file come out of the same run, through another pipe. One track may break the run
    for all: ffmpeg may refuse to start, stop early, crash or hang. Samples of a broken run do not
    count, except those of tracks with all ``num_samples``. Nor do those of a file that ffmpeg
    could not read to its end. The same holds for pictures.

    Args:
        tracks: What to decode.
        num_samples: Samples at 16 kHz after which to stop, each.
        timeout_seconds: Wall-clock limit of the run.

    Returns:
        For each track the same sound as `decode`, and the same pictures as `decode_pictures`.

    Raises:
        MediaToolError: There is no ffmpeg.
    """
    executable = find_ffmpeg()
    wanted = [track.view.num_frames for track in tracks if track.view is not None]
    try:
        finished = run_piped(
            lambda pipes: common_command(executable, tracks, pipes, num_samples),
            num_pipes=len(tracks) + len(wanted),
            timeout_seconds=timeout_seconds,
            max_pipe_bytes=max([max_matroska_bytes(num_samples), *map(max_picture_bytes, wanted)]),
            environment=_FEW_ARENAS,
            # of each film whose sound alone is wanted ffmpeg says in 1 kB which codecs it may use
            stderr_tail_bytes=STDERR_TAIL_BYTES * len(tracks),
        )
    except OSError:  # too many pipes or no ffmpeg; decoding each by itself will show it
        return [Taken(None, None)] * len(tracks)
    early = files_ended_early(finished, len(tracks))
    is_whole = finished.exit_status == 0
    outputs, found = iter(finished.outputs), []
    for place, track in enumerate(tracks):
        complete = is_whole and place not in early
        sound: Sound | None = read_matroska(next(outputs))
        if sound is not None and sound.waveform.size != num_samples and not complete:
            sound = None
        pictures: DecodedPictures | None = None
        if track.view is not None:
            pictures = read_pictures(next(outputs))
            if not complete and len(pictures.ticks) < track.view.num_frames:
                pictures = None
        found.append(Taken(sound, pictures))
    return found
