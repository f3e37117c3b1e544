"""Decodes several files in one run of ffmpeg.

That is only an optimisation: what it does not give completely is left to runs for one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from emi_model.units import seconds_to_samples
from tasks.extraction.decoding.commands import TrackOfFile, View
from tasks.extraction.decoding.decode import decode_together
from tasks.extraction.decoding.mixing import (
    TELLING_SECONDS,
    Mixing,
    cancels,
    may_cancel,
    may_mirror,
)
from tasks.extraction.decoding.pictures import DecodedPictures
from tasks.extraction.decoding.sound import Sound
from tasks.extraction.tracks import Decodable

NO_VIEWS: Mapping[int, View] = {}


@dataclass(frozen=True)
class Heard:
    """What was decoded of a track.

    Attributes:
        sound: its samples.
        mixing: how its channels became one.
        ended_early: ffmpeg did not reach its end.
        is_chain: it has several parts, of which the header declares one.
    """

    sound: Sound
    mixing: Mixing
    ended_early: bool = False
    is_chain: bool = False


class Common(NamedTuple):
    """What one run gave completely, by the place of the file."""

    heard: dict[int, Heard]
    pictures: dict[int, DecodedPictures]


def decode_common(
    clips: Mapping[int, Decodable],
    *,
    num_wanted: int,
    max_samples: int,
    views: Mapping[int, View] = NO_VIEWS,
) -> Common:
    """Decode short clips together.

    Args:
        clips: Their audio tracks by place. One alone is worth a run only if it has a view.
        num_wanted: Samples that are wanted of each.
        max_samples: Samples after which to stop: a header may declare too few seconds. A clip that
            this cuts too short is not complete.
        views: The pictures that are wanted, by place.
    """
    if len(clips) < 2 and not views:
        return Common({}, {})
    tracks = {place: track_of(one, views.get(place)) for place, one in clips.items()}
    seconds = min(one.seconds_left for one in clips.values())
    bound = min(num_wanted, max_samples) + 1
    sounds, pictures = _complete(tracks, num_wanted, bound, seconds)
    heard = {place: Heard(sound, tracks[place].mixing) for place, sound in sounds.items()}
    firsts = {
        place: replace(tracks[place], mixing=Mixing.FIRST, view=None)
        for place, one in heard.items()
        if may_cancel(one.mixing, clips[place].track.channels, one.sound.waveform)
    }
    firsts = _suspected_still(firsts, heard, seconds) if firsts else {}
    found = _complete(firsts, num_wanted, bound, seconds)[0] if firsts else {}
    for place in firsts:
        mono = heard.pop(place)  # one whose channel is not complete is decoded again by itself
        if place in found:
            heard[place] = audible(mono, Heard(found[place], Mixing.FIRST))
    return Common(heard, pictures)


def track_of(found: Decodable, view: View | None = None) -> TrackOfFile:
    """Return what a command decodes of a file."""
    track = found.track
    late = found.header.begins_late
    return TrackOfFile(found.url, track.index, track.channels, track.mixing, late, view=view)


def audible(heard: Heard, first: Heard) -> Heard:
    """Return the first channel of a stereo track in place of mono, if mono cancels."""
    return first if cancels(heard.sound.waveform, first.sound.waveform) else heard


def _complete(
    tracks: Mapping[int, TrackOfFile], num_wanted: int, bound: int, timeout_seconds: float
) -> tuple[dict[int, Sound], dict[int, DecodedPictures]]:
    taken = decode_together(
        list(tracks.values()), num_samples=bound, timeout_seconds=timeout_seconds
    )
    found = dict(zip(tracks, taken, strict=True))
    sounds = {
        place: one.sound
        for place, one in found.items()
        if one.sound is not None
        and (0 < one.sound.waveform.size < bound or one.sound.waveform.size > num_wanted)
    }
    pictures = {
        place: one.pictures
        for place, one in found.items()
        if one.pictures is not None and one.pictures.ticks
    }
    return sounds, pictures


def _suspected_still(
    firsts: Mapping[int, TrackOfFile], heard: Mapping[int, Heard], timeout_seconds: float
) -> dict[int, TrackOfFile]:
    """Return those tracks that cancel in their first seconds, or are silent there."""
    num = seconds_to_samples(TELLING_SECONDS)
    found = decode_together(list(firsts.values()), num_samples=num, timeout_seconds=timeout_seconds)
    return {
        place: firsts[place]
        for place, (sound, _) in zip(firsts, found, strict=True)
        if sound is None or may_mirror(heard[place].sound.waveform[:num], sound.waveform)
    }
