"""What training takes: clips with the labels that raters gave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from emi_model.arrays import Floats
from emi_model.audio.waveform import Int16Waveform, Waveform


class TrainingClip(Protocol):
    """A clip with its labels; the waveform may be read only when it is asked for."""

    @property
    def clip_id(self) -> str:
        """Path below the corpus root."""

    @property
    def emi(self) -> Floats:
        """EMI labels (targets,) in [0, 1]."""

    @property
    def vad(self) -> Floats | None:
        """Arousal, dominance, valence (3,) in [0, 1]; None where nobody rated it."""

    @property
    def num_samples(self) -> int:
        """Samples of the waveform."""

    @property
    def waveform(self) -> Int16Waveform:
        """int16 (samples,), 16 kHz mono, at least one frame of the backbone."""


@dataclass(frozen=True, eq=False)
class LabelledClip:
    """A `TrainingClip` whose waveform is in memory.

    Attributes:
        clip_id: path below the corpus root.
        waveform: int16 (samples,), 16 kHz mono, at least one frame of the backbone.
        emi: (targets,) in [0, 1].
        vad: (3,) arousal, dominance, valence in [0, 1]; None where nobody rated it.
    """

    clip_id: str
    waveform: Int16Waveform
    emi: Floats
    vad: Floats | None = None

    @property
    def num_samples(self) -> int:
        """Samples of the waveform."""
        return len(self.waveform)


@dataclass(frozen=True, eq=False)
class PreparedClip:
    """The input of a training step for one clip, and the labels it should predict.

    Attributes:
        clip_id: path below the corpus root; of two that are mixed, both.
        waveform: float32 (samples,), normalised.
        emi: (targets,) in [0, 1].
        vad: (3,) in [0, 1]; None where nobody rated it, or one of two that are mixed.
    """

    clip_id: str
    waveform: Waveform
    emi: Floats
    vad: Floats | None
