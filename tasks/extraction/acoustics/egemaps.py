"""The input of modality ``egemaps``: float32 (N, 88), a second each, every half second.

The extended Geneva minimalistic acoustic parameter set (Eyben et al. 2016, IEEE TAC 7(2)), by
openSMILE, which is no part of this project: its licence allows no commercial use.
"""

from __future__ import annotations

import hashlib
import threading
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emi_model.arrays import Floats
from emi_model.audio.features.frames import FRAME_HOP, stretches
from emi_model.audio.waveform import to_float
from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE, samples_to_seconds
from tasks.extraction.acoustics.sound import of_sound
from tasks.extraction.registry import register_extractor
from tasks.schema.outcomes import Reason, Rejection

SMILE_PACKAGE = "opensmile"

SMILE_SET = "eGeMAPSv02"

SMILE_LICENCE = "audEERING Research License Agreement: no commercial use"

SHORTEST_SAMPLES = 1600
"""Of a clip, 0.1 s: the set's longest windows are 60 ms."""

_ONE_AT_A_TIME = threading.Lock()
"""An openSMILE holds one sound at a time; decoding threads share it."""


def package_version() -> str:
    """Return the version of openSMILE's package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return version(SMILE_PACKAGE)
    except PackageNotFoundError as error:
        raise ConfigError(
            "found no package opensmile, which modality 'egemaps' needs: run pip install "
            f"'emi-workflow[opensmile]', if its licence suits you ({SMILE_LICENCE})"
        ) from error


@cache
def _smile() -> Any:
    package_version()
    import opensmile

    return opensmile.Smile(
        feature_set=opensmile.FeatureSet[SMILE_SET],
        feature_level=opensmile.FeatureLevel.Functionals,
    )


def _key(_: Any) -> str:
    return hashlib.sha256(package_version().encode()).hexdigest()[:12]


def _facts(_: Any) -> dict[str, str]:
    return {
        "package": f"{SMILE_PACKAGE} {package_version()}",
        "set": SMILE_SET,
        "licence": SMILE_LICENCE,
    }


@register_extractor("egemaps", version=1, needs_audio=True, key=_key, facts=_facts)
@of_sound
def _egemaps(waveform: NDArray[np.int16]) -> Floats | Rejection:
    """Return the 88 functionals of each second, every half second, float32 (N, 88).

    Raises:
        ConfigError: openSMILE is not installed.
    """
    if len(waveform) < SHORTEST_SAMPLES:
        seconds = samples_to_seconds(len(waveform))
        detail = f"{seconds:.2f} s of sound, expected 0.1 s or more: egemaps needs them"
        return Rejection(reason=Reason.TOO_SHORT, detail=detail)
    samples = to_float(waveform)
    places = [
        slice(one.start * FRAME_HOP, one.stop * FRAME_HOP)
        for one in stretches(len(samples) // FRAME_HOP)
    ]
    with _ONE_AT_A_TIME:
        found = [_smile().process_signal(samples[one], SAMPLING_RATE) for one in places]
    return np.concatenate([one.to_numpy(np.float32) for one in found])
