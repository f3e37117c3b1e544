"""Labelled clips whose audio lies in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emi_model.audio import Int16Waveform
from tasks.cache import AudioCache

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CachedClip:
    """An `emi_model.labelled.TrainingClip` that is read from the cache each time it is heard.

    Attributes:
        clip_id: path below the corpus root.
        content_sha256: hash of the clip's file, hex.
        emi: (targets,) in [0, 1].
        vad: (3,) arousal, dominance, valence in [0, 1]; None where nobody rated it.
        speaker: who speaks; empty where unknown.
        num_samples: samples in the cache.
        cache: folder of the cache.
    """

    clip_id: str
    content_sha256: str
    emi: Floats
    vad: Floats | None
    speaker: str
    num_samples: int
    cache: Path

    @property
    def waveform(self) -> Int16Waveform:
        """int16 (samples,), 16 kHz mono."""
        return AudioCache(self.cache).read(self.content_sha256)
