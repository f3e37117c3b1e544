"""How the authors of 2025 read audio: padding is heard, and moves the frame that is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emi_model.errors import ConfigError
from emi_model.units import CLIP_SECONDS, seconds_to_samples

LONGEST_SAMPLES = "longest_samples"
"""Argument of the audio branch: samples of the longest clip of the authors' batch."""


@dataclass(frozen=True)
class LongestClip:
    """The batch of Hallmen et al. 2025 (arXiv 2504.11460), told from its longest clip.

    Their backbone gets no mask, so zeros up to the longest clip's end are heard; of a clip of n
    samples, padded to T frames, frame ``max(1, floor(n / (192000 / T)))`` is read, counted from 1,
    which is its last one only where the longest clip lasts 12 s. As the longest clip alone decides,
    a clip's scores depend on nothing else of the batch: each clip is padded by itself. A clip that
    is longer than the longest is the longest of its own batch.

    Attributes:
        num_samples: of the longest clip, at 16 kHz.
    """

    num_samples: int

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> LongestClip | None:
        """Return the batch that a branch's arguments describe; None where they describe none.

        Raises:
            ConfigError: no number of samples.
        """
        found = arguments.get(LONGEST_SAMPLES)
        if found is None:
            return None
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise ConfigError(f"{LONGEST_SAMPLES} is {found!r}, expected a whole number from 1")
        return cls(found)

    def padded(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return waveforms (B, P) with their zeros as parts of the clips, and their new lengths."""
        longer = lengths.clamp(min=self.num_samples)
        missing = int(longer.max()) - values.shape[1]
        return torch.nn.functional.pad(values, (0, max(0, missing))), longer

    def read_frames(self, lengths: Tensor, num_frames: Tensor) -> Tensor:
        """Return the frame that is read of each clip, int64 (B,), counted from 1.

        Args:
            lengths: samples of each clip, without padding.
            num_frames: T of each, with padding.
        """
        window = seconds_to_samples(CLIP_SECONDS)
        frames = torch.floor(lengths.double() / (window / num_frames.double())).long()
        return torch.minimum(frames.clamp(min=1), num_frames)
