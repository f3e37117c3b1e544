"""Measurements of tones and silences whose levels, pitches and places are given."""

import numpy as np
import pytest

from emi_model.targets import VAD_DIMENSIONS
from emi_model.units import SAMPLING_RATE
from tasks.explaining.evidence import Pause, Spoken
from tasks.explaining.measuring import evidence_of
from tasks.transcription.transcript import SpokenSegment, Transcript

ROW = {"timeline": [], "scored_seconds": 2.5, **dict.fromkeys(VAD_DIMENSIONS)}
VAD = dict(zip(VAD_DIMENSIONS, (0.4, 0.5, 0.612345), strict=True))


def tone(seconds, hertz=200, peak=2**14):
    times = np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    return (peak * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


SOUND = np.concatenate([tone(1), np.zeros(8_000, np.int16), tone(1, 300, 2**13)])


def said(*segments):
    spoken = tuple(SpokenSegment(*one, 0.1, -0.2) for one in segments)
    return Transcript("en", 1.0, " ".join(one.text for one in spoken), spoken, 3, 2.0)


def test_seconds_have_their_own_loudness_and_pitch():
    found = evidence_of(SOUND, ROW | {"joy": 0.25, "face_share": 0.5}, ["Joy"], None)
    assert found.seconds == 2.5
    assert [one.second for one in found.timeline] == [0, 1, 2]
    loudness = [one.loudness_dbfs for one in found.timeline]
    assert loudness == pytest.approx([-9.03, -18.06, -15.05], abs=0.02)
    assert found.loudness_dbfs == pytest.approx(-12.04, abs=0.02)
    pitches = [one.pitch_hz for one in found.timeline]
    assert pitches == pytest.approx([200, 300, 300], rel=0.01)
    assert found.pauses == (Pause(1.0, 1.5),)
    assert (found.scores, found.vad, found.spoken) == ({"joy": 0.25}, {}, None)
    assert found.face_share == 0.5


def test_places_are_those_of_the_recording():
    """The sound begins 2 s after the pictures."""
    row = ROW | VAD | {"audio_start_seconds": 2.0, "timeline": [{"second": 2, **VAD}]}
    transcript = said((0.1, 0.9, "Well then,"), (1.5, 2.6, "go!"), (2.5, 2.5, ""))
    found = evidence_of(SOUND, row, [], transcript)
    assert found.seconds == 4.5
    assert [one.second for one in found.timeline] == [2, 3, 4]
    assert found.timeline[0].valence == found.vad["valence"] == 0.6123
    assert found.timeline[1].arousal is None
    assert found.pauses == (Pause(3.0, 3.5),)
    assert found.spoken == (Spoken(2.1, 2.9, "Well then,"), Spoken(3.5, 4.5, "go!"))


def test_silence_has_no_pause_and_no_pitch():
    found = evidence_of(np.zeros(24_000, np.int16), ROW, [], said())
    assert found.pauses is None
    assert (found.pitch_hz, found.loudness_dbfs, found.spoken) == (None, -100.0, ())
    assert [one.pitch_hz for one in found.timeline] == [None, None]


def test_without_sound_there_is_what_the_model_saw():
    found = evidence_of(None, ROW | {"face_share": 0.9, "joy": 0.5}, ["Joy"], None)
    assert (found.seconds, found.timeline, found.pauses) == (2.5, (), None)
    assert (found.scores, found.face_share) == ({"joy": 0.5}, 0.9)
