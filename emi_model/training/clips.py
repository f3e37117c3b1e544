"""What training takes: clips with the labels that raters gave them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from emi_model.architecture.branch import ClipInputs
from emi_model.arrays import Floats
from emi_model.modalities import size_of


class TrainingClip(Protocol):
    """A clip with its labels; its inputs may be read only when they are asked for."""

    @property
    def clip_id(self) -> str:
        """Path below the corpus root."""

    @property
    def emi(self) -> Floats:
        """EMI labels (targets,) in [0, 1], NaN where one is missing."""

    @property
    def vad(self) -> Floats | None:
        """Arousal, dominance, valence (3,) in [0, 1], NaN where one is missing; None: all are."""

    @property
    def speaker(self) -> str:
        """Who speaks; empty where unknown."""

    @property
    def num_raters(self) -> float | None:
        """How many raters its labels are shares of; None where unknown."""

    @property
    def num_samples(self) -> int:
        """Samples of its waveform, by which clips of like durations are batched."""

    @property
    def inputs(self) -> ClipInputs:
        """By modality; ``audio`` is int16 (samples,), 16 kHz mono, a frame of the backbone or more.

        A modality that the clip lacks is left out.
        """

    @property
    def inputs_id(self) -> str:
        """Says what its inputs were made of and how: another one for other inputs."""


@dataclass(frozen=True, eq=False)
class LabelledClip:
    """A `TrainingClip` whose inputs are in memory.

    Attributes:
        clip_id: path below the corpus root.
        inputs: by modality, as `TrainingClip` has them.
        emi: (targets,) in [0, 1], NaN where one is missing.
        vad: (3,) arousal, dominance, valence in [0, 1]; None where nobody rated it.
        speaker: who speaks; empty where unknown.
        num_raters: raters behind its labels; None where unknown.
    """

    clip_id: str
    inputs: ClipInputs
    emi: Floats
    vad: Floats | None = None
    speaker: str = ""
    num_raters: float | None = None

    @property
    def num_samples(self) -> int:
        """Samples of the waveform; without one, as `emi_model.modalities.size_of` counts them."""
        return size_of(self.inputs)

    @property
    def inputs_id(self) -> str:
        """Hash (hex) of the inputs."""
        found = hashlib.sha256()
        for modality, values in sorted(self.inputs.items()):
            found.update(f"{modality} {values.dtype} {values.shape}\0".encode())
            found.update(values.tobytes())
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class PreparedClip:
    """The input of a training step for one clip, and the labels it should predict.

    Attributes:
        clip_id: path below the corpus root; of two that are mixed, both.
        inputs: prepared, by modality.
        emi: (targets,) in [0, 1], NaN where one is missing.
        vad: (3,) in [0, 1]; None where nobody rated it, or one of two that are mixed.
        num_raters: raters behind its labels; of two that are mixed, their shares of both;
            None where unknown.
    """

    clip_id: str
    inputs: ClipInputs
    emi: Floats
    vad: Floats | None
    num_raters: float | None = None


def by_speaker(clips: Sequence[TrainingClip]) -> list[list[int]]:
    """Return the clips of each speaker as indices, in the order in which speakers come first.

    A clip without a speaker is one of its own.
    """
    groups: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        groups.setdefault(f"of {clip.speaker}" if clip.speaker else str(index), []).append(index)
    return list(groups.values())
