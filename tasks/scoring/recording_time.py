"""Where a clip's samples lie in its recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emi_model.units import samples_to_seconds, seconds_to_samples


class RecordingTime:
    """Converts places in a clip's waveform to times of its recording.

    A recording may show pictures before its sound begins, and of a long gap the waveform has only
    the beginning.
    """

    def __init__(self, row: Mapping[str, Any]) -> None:
        """Take ``audio_start_seconds`` and ``gaps`` of an extracted row; both may be null."""
        start = seconds_to_samples(row.get("audio_start_seconds") or 0.0)
        self._places, self._shifts = [0], [start]
        left_out = 0
        for gap in row.get("gaps") or ():
            place = seconds_to_samples(gap["start_seconds"] + gap["filled_seconds"]) - left_out
            left_out += seconds_to_samples(gap["seconds"] - gap["filled_seconds"])
            self._places.append(place)
            self._shifts.append(start + left_out)

    def samples(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places (N,) in the recording of places in the waveform, both at 16 kHz."""
        found = np.searchsorted(self._places, places, side="right") - 1
        return places + np.array(self._shifts, np.int64)[found]

    def start_seconds(self, place: int) -> float:
        """Return the time in the recording of a sample of the waveform."""
        return samples_to_seconds(int(self.samples(np.array([place]))[0]))

    def end_seconds(self, place: int) -> float:
        """Return the time at which the sample before this place ends, in the recording."""
        return samples_to_seconds(int(self.samples(np.array([place - 1]))[0]) + 1)
