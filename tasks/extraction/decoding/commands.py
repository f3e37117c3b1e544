"""The commands that decode tracks of files: ffmpeg's arguments, whitelists and filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ffmpeg

from emi_model.units import SAMPLING_RATE
from tasks.extraction.decoding.mixing import Mixing, mix_filter
from tasks.extraction.decoding.pictures import FRAMES_PER_SECOND, picture_filter
from tasks.extraction.formats import (
    ALLOWED_CONTAINERS,
    ALLOWED_DECODERS,
    ALLOWED_VIDEO_DECODERS,
    DEEP_PROBE,
)

# By default a filter starts a thread for each core; here they would have no work.
_QUIET = ("-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-filter_threads", "1")
_URL_STAND_IN = "file:clip{}"


@dataclass(frozen=True)
class View:
    """The pictures that are wanted of a file.

    Attributes:
        index: The video track's place among all streams of the file.
        num_frames: Pictures after which to stop, `FRAMES_PER_SECOND` of them a second.
        start_seconds: When the first of them is shown; None: ffmpeg finds out.
    """

    index: int
    num_frames: int
    start_seconds: float | None = None


@dataclass(frozen=True)
class TrackOfFile:
    """One audio track of one file, and the pictures that are decoded with it.

    Attributes:
        url: A ``file:`` URL as libav understands it, without percent escapes.
        index: The track's place among all streams of the file.
        channels: Number of its channels; None if the header has none.
        mixing: How they become one.
        begins_late: Its first packet lies deep in the file.
        skip_bytes: How much of the file is left out.
        view: The pictures; None where none are wanted. Only then is a video decoder allowed.
    """

    url: str
    index: int
    channels: int | None = None
    mixing: Mixing = Mixing.LAYOUT
    begins_late: bool = False
    skip_bytes: int = 0
    view: View | None = None


def sound_command(executable: str, track: TrackOfFile, target: str, num_samples: int) -> list[str]:
    """Return a command that decodes an audio track's first samples, without pictures."""
    track = replace(track, view=None)
    return _command(
        executable, [_sound(_source(0, track), track, target, num_samples)], [track.url]
    )


def common_command(
    executable: str, tracks: Sequence[TrackOfFile], pipes: Sequence[int], num_samples: int
) -> list[str]:
    """Return a command that decodes tracks of several files.

    Args:
        executable: The ffmpeg to run.
        tracks: What to decode.
        pipes: File descriptors to write to: one for each track, followed by one for its pictures
            where there is a view.
        num_samples: Samples of each track after which to stop.
    """
    left, outputs = iter(pipes), []
    for place, track in enumerate(tracks):
        source = _source(place, track)
        # No flush after every packet: the output of a run that fails is not used.
        outputs.append(_sound(source, track, f"pipe:{next(left)}", num_samples, flush_packets=0))
        if track.view is not None:
            outputs.append(_pictures(source, track.view, f"pipe:{next(left)}", flush_packets=0))
    # ffmpeg shall not stop the other tracks if most of one cannot be decoded.
    return _command(executable, outputs, [track.url for track in tracks], "-max_error_rate", "1")


def picture_command(
    executable: str,
    url: str,
    view: View,
    target: str,
    clock_index: int | None,
    *,
    begins_late: bool = False,
) -> list[str]:
    """Return a command that decodes the pictures of one file.

    Args:
        executable: The ffmpeg to run.
        url: The file's URL.
        view: The pictures.
        target: Where to write them.
        clock_index: A stream that is read, but not decoded: for broadcasts, ffmpeg counts time
            from the first of the streams that it reads.
        begins_late: That stream's first packet lies deep in the file.
    """
    source = _source(0, TrackOfFile(url, view.index, begins_late=begins_late, view=view))
    outputs = [_pictures(source, view, target)]
    if clock_index is not None:
        clock, seconds = source[str(clock_index)], view.num_frames / FRAMES_PER_SECOND
        nothing = {"format": "null", "acodec": "copy", "vn": None, "sn": None, "dn": None}
        outputs.append(clock.output("-", **nothing, t=seconds))  # else it is read to its end
    return _command(executable, outputs, [url], "-max_error_rate", "1")


def _source(place: int, track: TrackOfFile) -> Any:
    decoders = ALLOWED_DECODERS
    if track.view is not None:
        decoders = f"{ALLOWED_DECODERS},{ALLOWED_VIDEO_DECODERS}"
    return ffmpeg.input(
        _URL_STAND_IN.format(place),
        protocol_whitelist="file",
        format_whitelist=ALLOWED_CONTAINERS,
        codec_whitelist=decoders,
        threads=1,
        # Pictures that change their size, as in recorded calls, shall not start the clock anew.
        **({"reinit_filter:v": 0} if track.view is not None else {}),
        **(DEEP_PROBE if track.begins_late else {}),
        **({"skip_initial_bytes": track.skip_bytes} if track.skip_bytes else {}),
    )


def _sound(source: Any, track: TrackOfFile, target: str, num_samples: int, **options: Any) -> Any:
    # Not -t: it counts from the container's start, so a track that begins late would lose its end.
    # The filter counts the track's own samples.
    first_samples = (
        f"{mix_filter(track.mixing, track.channels)}"
        f"aformat=sample_fmts=s16:sample_rates={SAMPLING_RATE}:channel_layouts=mono,"
        f"atrim=end_sample={num_samples}"
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


def _pictures(source: Any, view: View, target: str, **options: Any) -> Any:
    return source[str(view.index)].output(
        target,
        format="matroska",
        map_metadata=-1,
        map_chapters=-1,
        vcodec="rawvideo",
        allow_raw_vfw=1,
        pix_fmt="rgb24",
        vf=picture_filter(view.num_frames, view.start_seconds),
        fps_mode="passthrough",
        threads=1,
        an=None,
        sn=None,
        dn=None,
        **options,
    )


def _command(
    executable: str, outputs: Sequence[Any], urls: Sequence[str], *options: str
) -> list[str]:
    # ffmpeg-python accepts only names in valid UTF-8; a process accepts all.
    names = {_URL_STAND_IN.format(place): url for place, url in enumerate(urls)}
    merged = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    compiled = merged.compile(cmd=[executable, *_QUIET, *options])
    return [names.get(arg, arg) for arg in compiled]
