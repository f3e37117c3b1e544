"""From a function of a waveform to an extractor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emi_model.arrays import Floats
from tasks.extraction.registry import ClipMedia, Extract
from tasks.schema.outcomes import Rejection

Measure = Callable[[NDArray[np.int16]], Floats | Rejection]
"""From a waveform, int16 (samples,) at 16 kHz, to a series, float32 (N, D)."""


def of_sound(measure: Measure) -> Extract:
    """Return the extractor that measures a clip's sound; a clip without any is rejected."""

    def extract(media: ClipMedia) -> NDArray[Any] | Rejection:
        assert media.audio is not None, "decoded for every extractor that needs audio"
        if isinstance(media.audio, Rejection):
            return media.audio
        return measure(media.audio.waveform)

    return extract
