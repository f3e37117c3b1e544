"""The check of a VAD model against the reference values of its model card."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emi_model.checkpoints.load import load_model
from emi_model.errors import CheckpointError
from emi_model.predict import Predictor
from emi_model.targets import VAD_DIMENSIONS
from emi_model.units import SAMPLING_RATE

ZERO_SIGNAL_VAD = (0.5460754, 0.6062266, 0.40431657)
"""Arousal, dominance, valence of one second of zeros: model card of the public VAD model."""

ZERO_SIGNAL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class BackboneCheck:
    """The zero-signal check: expected and found values, in the order of `VAD_DIMENSIONS`."""

    expected: tuple[float, ...]
    found: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether every dimension agrees within 1e-3."""
        return bool(np.allclose(self.found, self.expected, rtol=0, atol=ZERO_SIGNAL_TOLERANCE))


def check_backbone(reference: str) -> BackboneCheck:
    """Check a VAD model on a zero signal; its head gets the mean frame, as in the public model.

    Raises:
        CheckpointError: the model has no VAD head.
    """
    predictor = Predictor(load_model(reference).model, precision="fp32")
    (scores,) = predictor([np.zeros(SAMPLING_RATE, np.float32)])
    if isinstance(scores, Exception):
        raise scores
    if scores.vad_of_mean is None:
        raise CheckpointError(f"{reference}: has no VAD head: nothing to check")
    found = tuple(float(value) for value in scores.vad_of_mean)
    return BackboneCheck(expected=ZERO_SIGNAL_VAD[: len(VAD_DIMENSIONS)], found=found)
