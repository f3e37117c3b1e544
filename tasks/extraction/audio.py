"""From media files to waveforms: each file's header is read once, runs of ffmpeg are bounded.

The decoded samples decide what becomes of a clip, never an exit status: ffmpeg may exit with 0
without a sample, and with an error after it decoded the whole track.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE, samples_to_seconds, seconds_to_samples
from tasks.extraction.decoding.commands import TrackOfFile, View
from tasks.extraction.decoding.decode import Decoded, decode, decode_links
from tasks.extraction.decoding.mixing import Mixing, may_cancel
from tasks.extraction.decoding.pictures import DecodedPictures
from tasks.extraction.decoding.sound import Gap
from tasks.extraction.decoding.together import NO_VIEWS, Heard, audible, decode_common, track_of
from tasks.extraction.headers import Prober
from tasks.extraction.tracks import Decodable, find_track, one_line
from tasks.schema.outcomes import Reason, Rejection, Source

MAX_CLIP_SECONDS = 2 * 3600.0
"""Longer clips are cut to two hours (230 MB of int16), even if all of it is requested."""

TIMEOUT_SECONDS = 120.0
"""Time limit of one clip, header and decoding together."""

MAX_CLIPS_TOGETHER = 16
"""Clips that one run of ffmpeg decodes: starting it costs more than decoding a short clip."""

MAX_SECONDS_TOGETHER = 60.0
"""A clip is decoded by itself if more seconds of it are wanted, and it declares more or nothing."""

# Headers round, decoders keep or drop the encoder's padding (0.05 s for AAC), and a cut MPEG
# stream may lose its first frame: complete real clips miss up to 0.09 s.
_SHORT_SECONDS = 0.1
_SHORT_SHARE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Extraction(Source):
    """The audio of a clip.

    Attributes:
        waveform: int16 (samples,), 16 kHz mono, at least one sample. Silence fills gaps of the
            recording.
        truncated: The track continues after the last sample.
        short_decode: The track declares over 10 % and over 0.1 s more than could be decoded, or
            ffmpeg could not read the file to its end.
        mixing: How the channels became one.
        gaps: Stretches of the recording without sound.
    """

    waveform: NDArray[np.int16]
    truncated: bool
    short_decode: bool
    mixing: Mixing = Mixing.LAYOUT
    gaps: tuple[Gap, ...] = ()


def extract(
    path: Path,
    *,
    max_seconds: float | None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    prober: Prober | None = None,
) -> Extraction | Rejection:
    """Decode the best audio track of a media file to 16 kHz mono.

    The waveform begins with the track's first sample, also where the track begins late:
    ``audio_start_seconds`` says when.

    Args:
        path: A regular file of any name.
        max_seconds: Seconds from the start to decode; None for all, up to ``MAX_CLIP_SECONDS``.
        timeout_seconds: Wall-clock limit for reading the header and decoding together.
        prober: Reads the header; without one, a process is started for this call (0.1 s).

    Returns:
        The audio, or the rejection; no file, however damaged, raises an error.

    Raises:
        ConfigError: ``max_seconds`` is less than one sample.
        MediaToolError: There is no usable ffmpeg.
    """
    num_wanted = samples_wanted(max_seconds)
    if prober is None:
        with Prober() as own:
            found = find_track(path, own, timeout_seconds)
    else:
        found = find_track(path, prober, timeout_seconds)
    return found if isinstance(found, Rejection) else _decode_alone(found, num_wanted)


def extract_together(
    paths: Sequence[Path],
    *,
    max_seconds: float | None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    prober: Prober,
) -> Iterator[Extraction | Rejection]:
    """Decode several files at less cost; yields for each what `extract` returns, in their order.

    Args:
        paths: Regular files of any name, at most ``MAX_CLIPS_TOGETHER``.
        max_seconds: As for `extract`.
        timeout_seconds: As for `extract`, for each clip; the common run may take as long again.
        prober: Reads the headers.

    Raises:
        ConfigError: ``max_seconds`` is less than one sample.
        MediaToolError: There is no usable ffmpeg.
    """
    samples_wanted(max_seconds)
    found = [find_track(path, prober, timeout_seconds) for path in paths]
    yield from extract_found(found, max_seconds=max_seconds)


def extract_found(
    found: Sequence[Decodable | Rejection],
    *,
    max_seconds: float | None,
    views: Mapping[int, View] = NO_VIEWS,
    seen: dict[int, DecodedPictures] | None = None,
) -> Iterator[Extraction | Rejection]:
    """Decode the audio tracks of several files, and with them pictures; yields as `extract` does.

    Short clips go through one run of ffmpeg. That run is only an optimisation: a clip that it does
    not decode completely, because of this clip or another, is decoded by itself within its own
    limits. Long clips are decoded one at a time, so that memory holds only one of them.

    Args:
        found: The tracks, or rejections, which are yielded as they are.
        max_seconds: As for `extract`.
        views: Pictures that are wanted, by the place of their file.
        seen: Gets those that came out of the common run, before the first clip is yielded.

    Raises:
        ConfigError: ``max_seconds`` is less than one sample.
        MediaToolError: There is no usable ffmpeg.
    """
    num_wanted = samples_wanted(max_seconds)
    short = {
        place: one
        for place, one in enumerate(found)
        if isinstance(one, Decodable) and _is_brief(one, num_wanted)
    }
    whole, pictures = decode_common(
        short,
        num_wanted=num_wanted,
        max_samples=seconds_to_samples(MAX_SECONDS_TOGETHER),
        views={place: view for place, view in views.items() if place in short},
    )
    if seen is not None:
        seen.update(pictures)
    for place, one in enumerate(found):
        if isinstance(one, Rejection):
            yield one
        elif place in whole:
            yield _extraction(whole.pop(place), one, num_wanted)
        else:
            yield _decode_alone(one, num_wanted)


def samples_wanted(max_seconds: float | None) -> int:
    """Return how many samples are wanted of a clip, at least one.

    Raises:
        ConfigError: ``max_seconds`` is less than one sample.
    """
    if max_seconds is None:
        return seconds_to_samples(MAX_CLIP_SECONDS)
    if not max_seconds * SAMPLING_RATE >= 1:  # true for NaN, too
        raise ConfigError(
            f"found max_seconds={max_seconds}, expected one sample or more; "
            "give seconds above 0, or None for all"
        )
    return seconds_to_samples(min(max_seconds, MAX_CLIP_SECONDS))


def _is_brief(found: Decodable, num_wanted: int) -> bool:
    """Return whether a clip's decoder is allowed and the wanted part of it should be short."""
    if not found.track.allowed or found.header.begins_late:
        return False
    declared_seconds = found.track.seconds or found.header.seconds or math.inf
    return min(samples_to_seconds(num_wanted), declared_seconds) <= MAX_SECONDS_TOGETHER


def _decode_alone(found: Decodable, num_wanted: int) -> Extraction | Rejection:
    deadline = time.monotonic() + found.seconds_left
    track = track_of(found)
    num_samples = num_wanted + 1  # one more sample shows that the track continues
    decoded = decode(track, num_samples=num_samples, timeout_seconds=found.seconds_left)
    rejection = _rejected(decoded, found)
    if rejection is not None:
        return rejection
    heard = _heard(track, decoded, found, num_samples, deadline)
    if may_cancel(heard.mixing, track.channels, heard.sound.waveform):
        left_channel = replace(track, mixing=Mixing.FIRST)
        seconds_left = deadline - time.monotonic()
        first = decode(left_channel, num_samples=num_samples, timeout_seconds=seconds_left)
        if not first.timed_out:
            heard = audible(heard, _heard(left_channel, first, found, num_samples, deadline))
    return _extraction(heard, found, num_wanted)


def _heard(
    track: TrackOfFile, decoded: Decoded, found: Decodable, num_samples: int, deadline: float
) -> Heard:
    """Return what was decoded of a track, with what ffmpeg left out of a chained file."""
    whole = decoded
    if decoded.ended_early and found.header.container == "ogg":
        left = deadline - time.monotonic()
        whole = decode_links(track, decoded, num_samples=num_samples, timeout_seconds=left)
    return Heard(whole.sound, track.mixing, whole.ended_early, is_chain=whole is not decoded)


def _rejected(decoded: Decoded, found: Decodable) -> Rejection | None:
    num_decoded = decoded.sound.waveform.size
    if decoded.timed_out:
        reason, words = Reason.TIMEOUT, f"stopped at the time limit: {decoded.words}"
    elif not found.track.allowed or (decoded.no_decoder and not num_decoded):
        reason, words = Reason.UNSUPPORTED_CODEC, decoded.words
    elif not num_decoded:
        reason, words = Reason.NO_SAMPLES, decoded.words
    else:
        return None
    return Rejection(reason=reason, detail=one_line(words), **found.source())


def _extraction(heard: Heard, found: Decodable, num_wanted: int) -> Extraction:
    waveform, gaps = heard.sound.filled(num_wanted)
    truncated = waveform.size > num_wanted
    skipped = seconds_to_samples(sum(gap.seconds - gap.filled_seconds for gap in gaps))
    declared = None if heard.is_chain else found.track.seconds
    is_short = _is_short(declared, num_wanted, waveform.size + skipped)
    return Extraction(
        waveform=waveform[:num_wanted],
        truncated=truncated,
        short_decode=is_short or (heard.ended_early and not truncated),
        mixing=heard.mixing,
        gaps=gaps,
        **found.source(),
    )


def _is_short(declared_seconds: float | None, num_wanted: int, num_decoded: int) -> bool:
    if declared_seconds is None:
        return False
    expected_seconds = min(declared_seconds, samples_to_seconds(num_wanted))
    lost_seconds = expected_seconds - samples_to_seconds(num_decoded)
    return lost_seconds > max(_SHORT_SECONDS, _SHORT_SHARE * expected_seconds)
