from __future__ import annotations

import numpy as np
import pytest

from tasks.scoring.recording_time import RecordingTime


@pytest.mark.parametrize("row", [{}, {"audio_start_seconds": None, "gaps": None}])
def test_without_facts_the_waveform_is_the_recording(row: dict[str, object]) -> None:
    places = np.arange(0, 64_000, 320)
    assert np.array_equal(RecordingTime(row).samples(places), places)
    assert RecordingTime(row).start_seconds(8_000) == 0.5


def test_sound_that_begins_late() -> None:
    time = RecordingTime({"audio_start_seconds": 6.0, "gaps": []})
    assert [time.start_seconds(0), time.start_seconds(16_000)] == [6.0, 7.0]
    assert time.end_seconds(16_000) == 7.0


def test_gaps_that_are_filled_do_not_matter_and_the_rest_does() -> None:
    gaps = [
        {"start_seconds": 1.0, "seconds": 2.0, "filled_seconds": 2.0},
        {"start_seconds": 4.0, "seconds": 60.0, "filled_seconds": 10.0},
        {"start_seconds": 65.0, "seconds": 20.0, "filled_seconds": 10.0},
    ]
    time = RecordingTime({"audio_start_seconds": 100.0, "gaps": gaps})
    # The waveform: 1 s sound, 2 s silence, 1 s sound, 10 s silence, 1 s sound, 10 s silence, sound.
    waveform = [0.5, 3.5, 13.5, 14.0, 14.5, 25.0, 26.0]
    recording = [0.5, 3.5, 13.5, 64.0, 64.5, 85.0, 86.0]
    found = time.samples((np.array(waveform) * 16_000).astype(np.int64)) / 16_000
    assert found.tolist() == [100 + second for second in recording]
