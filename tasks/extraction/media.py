"""What a model needs of clips: their sound, their pictures, or both out of one decode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from emi_model.units import samples_to_seconds
from tasks.extraction.audio import (
    TIMEOUT_SECONDS,
    Extraction,
    extract_found,
    extract_together,
    samples_wanted,
)
from tasks.extraction.decoding.commands import View
from tasks.extraction.decoding.decode import decode_pictures
from tasks.extraction.decoding.pictures import MAX_FRAMES, DecodedPictures, num_frames_within
from tasks.extraction.headers import Prober
from tasks.extraction.tracks import Tracks, Visible, choose_track, find_tracks, one_line
from tasks.schema.outcomes import Reason, Rejection

# Cut anywhere, their first pictures cannot be decoded; ffmpeg counts time from what it reads.
_BROADCASTS = ("mpegts", "mpeg")


class Media(NamedTuple):
    """What was decoded of one clip; None in place of what is not needed."""

    audio: Extraction | Rejection | None
    pictures: DecodedPictures | Rejection | None


def extract_media(
    paths: Sequence[Path],
    *,
    sound: bool,
    sight: bool,
    max_seconds: float | None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    prober: Prober,
) -> Iterator[Media]:
    """Decode several files; yields for each what it gives by itself, in their order.

    Samples are those of `extract_together`, to the byte: a file of which the common run did not
    give all of the sound is decoded again without its pictures, and its pictures without the sound.
    Pictures count from the beginning of the recording, where ``audio_start_seconds`` counts from.

    Args:
        paths: Regular files of any name, at most ``MAX_CLIPS_TOGETHER``.
        sound: Decode the audio.
        sight: Decode pictures, `MAX_FRAMES` at most.
        max_seconds: Seconds from the start to decode; None for all.
        timeout_seconds: Wall-clock limit of a clip. A common run, sound by itself and pictures by
            themselves may each take as long.
        prober: Reads the headers.

    Raises:
        ConfigError: ``max_seconds`` is less than one sample.
        MediaToolError: There is no usable ffmpeg.
    """
    if not sight:
        heard: Iterable[Extraction | Rejection | None] = [None] * len(paths)
        if sound:
            heard = extract_together(
                paths, max_seconds=max_seconds, timeout_seconds=timeout_seconds, prober=prober
            )
        yield from (Media(one, None) for one in heard)
        return
    num_frames = num_frames_within(samples_to_seconds(samples_wanted(max_seconds)))
    for run in _runs([find_tracks(path, prober, timeout_seconds) for path in paths], num_frames):
        yield from _decode_run(run, num_frames, max_seconds, sound=sound)


def _runs(found: Sequence[Tracks], num_frames: int) -> Iterator[list[Tracks]]:
    """Yield files for one run each: together they give `MAX_FRAMES` at most, or it is one file."""
    run: list[Tracks] = []
    total = 0
    for one in found:
        expected = _num_expected(one, num_frames)
        if run and total + expected > MAX_FRAMES:
            yield run
            run, total = [], 0
        run.append(one)
        total += expected
    if run:
        yield run


def _num_expected(found: Tracks, num_frames: int) -> int:
    """Return how many pictures a file should give, by its header."""
    if isinstance(found.sight, Rejection):
        return 0
    seconds = found.sight.header.seconds
    return num_frames if seconds is None else min(num_frames, num_frames_within(seconds))


def _decode_run(
    run: Sequence[Tracks], num_frames: int, max_seconds: float | None, *, sound: bool
) -> Iterator[Media]:
    views = {
        place: _view_of(one.sight, num_frames)
        for place, one in enumerate(run)
        if isinstance(one.sight, Visible)
    }
    seen: dict[int, DecodedPictures] = {}
    heard: Iterator[Extraction | Rejection | None] = iter([None] * len(run))
    if sound:
        tracks = [one.sound for one in run]
        heard = extract_found(tracks, max_seconds=max_seconds, views=views, seen=seen)
    for place, (one, audio) in enumerate(zip(run, heard, strict=True)):
        if isinstance(one.sight, Rejection):
            yield Media(audio, one.sight)
        elif place in seen:
            yield Media(audio, seen.pop(place))
        else:
            yield Media(audio, _decode_alone(one.sight, views[place]))


def _view_of(found: Visible, num_frames: int) -> View:
    video = found.video
    is_timed = found.header.container not in _BROADCASTS
    return View(video.index, num_frames, video.start_seconds if is_timed else None)


def _decode_alone(found: Visible, view: View) -> DecodedPictures | Rejection:
    header = found.header
    clock_index = None
    if header.container in _BROADCASTS and header.tracks:
        clock_index = choose_track(header.tracks).index
    seen = decode_pictures(
        found.url,
        view,
        clock_index=clock_index,
        timeout_seconds=found.seconds_left,
        begins_late=header.begins_late,
    )
    if seen.timed_out:
        words = f"stopped at the time limit: {seen.words}"
        return Rejection(reason=Reason.TIMEOUT, detail=one_line(words))
    if not seen.pictures.ticks:
        words = f"no picture in the video track: {seen.words}"
        return Rejection(reason=Reason.NO_SAMPLES, detail=one_line(words))
    return seen.pictures
