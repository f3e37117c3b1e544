"""What is left out of a clip: variants of its inputs, and which of them are scored together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emi_model.architecture.branch import ClipInputs, duration_of
from emi_model.architecture.encoder_branch import EncoderBranch, is_encoded
from emi_model.architecture.model import EmiModel
from emi_model.arrays import Array
from emi_model.attribution.inputs import LEARNT_TOKEN, reference, reference_name, without
from emi_model.attribution.shapley import coalitions
from emi_model.units import SAMPLING_RATE

LEFT_OUT = -1
"""In the place of a variant's number: the clip lacks the modality."""

Choice = Mapping[str, int]
"""The number of a variant by modality, or `LEFT_OUT`."""


class Choices:
    """A clip's variants, and the choices of them that an attribution compares.

    An encoder's output stands for an input where it may: so a picture or a text is encoded once.

    Attributes:
        variants: of each modality that the clip has, in the model's order; first its own input.
        references: what stands for each where it is left out.
        seconds: half-open, in samples at 16 kHz, the last one shorter; none if nothing has a time.
    """

    def __init__(self, model: EmiModel, clip: ClipInputs) -> None:
        """Take a clip's inputs.

        Raises:
            ConfigError: the model needs a modality, and nothing can stand for it.
        """
        self._specs, self._branches = model.specs, model.each_branch()
        self._required = model.config.required
        clip = {name: clip[name] for name in self._specs if name in clip}
        self.variants = {name: [self._encoded(name, values)] for name, values in clip.items()}
        self.references = {
            name: reference_name(name, self._specs[name])
            if name in self._required
            else LEARNT_TOKEN
            for name in clip
        }
        self._left_out = {
            name: self._add(name, self._encoded(name, reference(name, values, self._specs[name])))
            if name in self._required
            else LEFT_OUT
            for name, values in clip.items()
        }
        end = duration_of(clip, self._specs) or 0
        self.seconds = [
            (start, min(start + SAMPLING_RATE, end)) for start in range(0, end, SAMPLING_RATE)
        ]

    def sets(self) -> list[Choice]:
        """Return the choice for each set of modalities, in the order of `coalitions`."""
        return [
            {
                name: 0 if given else self._left_out[name]
                for name, given in zip(self.variants, row, strict=True)
            }
            for row in coalitions(len(self.variants)).tolist()
        ]

    def without(self, start: int, end: int) -> Choice:
        """Return the choice of the clip with a stretch left out of all that has a time."""
        return {name: self._without(name, start, end) for name in self.variants}

    def _without(self, name: str, start: int, end: int) -> int:
        spec = self._specs[name]
        found = without(self.variants[name][0], spec, start, end)
        return self._add(name, found) if spec.holds(found) else self._left_out[name]

    def _add(self, name: str, values: Array) -> int:
        """Return a variant's number, a new one unless it is there."""
        known = self.variants[name]
        for number, one in enumerate(known):
            if np.array_equal(one, values, equal_nan=values.dtype.kind == "f"):
                return number
        known.append(values)
        return len(known) - 1

    def _encoded(self, name: str, values: Array) -> Array:
        branch = self._branches[name]
        if isinstance(branch, EncoderBranch) and not is_encoded(values):
            return branch.encode([values])[0]
        return values
