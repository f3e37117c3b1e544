"""A clip's inputs with something left out: a modality, a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from emi_model.architecture.branch import InputSpec
from emi_model.arrays import Array
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO, TRANSCRIPT, VISION

LEARNT_TOKEN = "learnt token"
"""Stands for an optional modality that is left out: the model was trained with it."""

TRAINING_MEAN = "training mean"
"""Stands for a series that is left out, where the model cannot do without it."""

GREY = 128
"""Of all pixels of a picture that shows nothing."""

FULL_STOP = np.frombuffer(b".", np.uint8)
"""A text that says nothing; of an empty one some tokenizers would make no token."""


def _grey(values: Array) -> Array:
    """Return frames of which those with a picture are grey, and those without stay so."""
    seen = values.reshape(len(values), -1).any(axis=1)
    found = np.zeros_like(values)
    found[seen] = GREY
    return found


_REFERENCES: Mapping[str, tuple[str, Callable[[Array], Array]]] = {
    AUDIO: ("silence", np.zeros_like),
    TRANSCRIPT: ("full stop", lambda _: FULL_STOP),
    VISION: ("grey pictures", _grey),
}
_OTHERS: tuple[str, Callable[[Array], Array]] = ("zeros", np.zeros_like)


def reference_name(modality: str, spec: InputSpec) -> str:
    """Return what stands for a modality that the model cannot do without."""
    if np.isnan(spec.nothing):
        return TRAINING_MEAN
    return _REFERENCES.get(modality, _OTHERS)[0]


def reference(modality: str, values: Array, spec: InputSpec) -> Array:
    """Return an input that says nothing, in place of one that the model cannot do without.

    Audio becomes silence of the same length, text a full stop, pictures grey. In a series all
    values are missing: its branch takes their mean over the training. Anything else becomes zeros.

    Raises:
        ConfigError: the branch cannot encode it.
    """
    if np.isnan(spec.nothing):
        return np.full(values.shape, np.nan, np.float32)
    name, made = _REFERENCES.get(modality, _OTHERS)
    found = made(values)
    if not spec.holds(found):
        raise ConfigError(
            f"found {modality!r}, which this model needs and for which {name} cannot stand: its "
            "part in a score cannot be told; train the model with this modality optional"
        )
    return found


def without(values: Array, spec: InputSpec, start: int, end: int) -> Array:
    """Return an input of which ``[start, end)``, in samples at 16 kHz, holds nothing.

    That is silence, frames without a face, missing values of a series. An input that has no time
    stays as it is.
    """
    if spec.rate is None:
        return values
    places = spec.cut(np.arange(len(values)), start, end)
    whole = np.isnan(spec.nothing) and values.dtype.kind != "f"
    found = values.astype(np.float32) if whole else values.copy()
    found[places] = spec.nothing
    return found
