"""How many raters stand behind a clip's labels, which are shares k/N of N raters."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from emi_model.arrays import Floats
from emi_model.training.clips import PreparedClip, TrainingClip

MOST_RATERS = 200


def raters_of(clips: Sequence[PreparedClip] | Sequence[TrainingClip]) -> Tensor:
    """Return the number of raters of each clip, float32 (B,): what is recorded, else inferred."""
    return torch.tensor([num_raters_of(clip) for clip in clips], dtype=torch.float32)


def num_raters_of(clip: PreparedClip | TrainingClip) -> float:
    """Return the number of raters of a clip: what is recorded, else inferred."""
    return inferred_raters(clip.emi) if clip.num_raters is None else clip.num_raters


def inferred_raters(labels: Floats) -> int:
    """Return the largest denominator among labels (T,) as fractions, 200 at most; 1 without any.

    A lower bound: of labels 0 and 1/2 it makes 2 raters, though there may have been 4. Labels that
    were rounded to four digits give the right one up to 40 raters.
    """
    rated = labels[np.isfinite(labels)].tolist()
    fractions = [Fraction(label).limit_denominator(MOST_RATERS) for label in rated]
    return max((fraction.denominator for fraction in fractions), default=1)
