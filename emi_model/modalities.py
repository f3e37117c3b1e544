"""Modalities by name, and the modules that bring more of them.

A modality is a branch of the model (`emi_model.architecture.registry`) and an extractor
(`tasks.extraction.registry`). Those of this project lie in files that bear the modality's name. A
module of somebody else registers its own when it is imported; ``EMI_PLUGINS`` names such modules,
separated by commas. The registries read it in every process that asks them: this one, and the
workers that extract and score, which inherit the variable, on other machines too. The module has
to be importable there, by ``PYTHONPATH`` or installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sized
from functools import cache
from importlib import import_module
from typing import TypeVar

from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE

AUDIO, TRANSCRIPT, VISION = "audio", "text", "vision"

FEATURES = "features"
"""Features of other programs that no option gives a name: the clips themselves."""

FACES_PER_SECOND = 5.0
"""Frames of the ``vision`` input a second of the video's clock: entry i is the time i / 5 s."""

SPOKEN_BYTES_PER_SECOND = 15.0
"""About as much text as a person says in a second; only to compare the sizes of clips."""

SOUND_RATES: Mapping[str, float] = {
    "mfcc": 100.0,
    "functionals": 2.0,
    "bag_of_words": 2.0,
    "egemaps": 2.0,
}
"""Sets of features of the sound, each a modality of its own, with its entries a second."""

_RATES: Mapping[str, float] = {
    TRANSCRIPT: SPOKEN_BYTES_PER_SECOND,
    VISION: FACES_PER_SECOND,
    **SOUND_RATES,
}
"""Entries a second of inputs other than audio."""

VALUES_PER_SAMPLE = 16
"""Values of a series that take about as much memory as a sample of audio; to compare sizes."""

AUDIO_NEEDED: Mapping[str, bool] = {AUDIO: True}
"""What a model with audio alone needs of a clip."""

PLUGINS = "EMI_PLUGINS"

Entry = TypeVar("Entry")


def size_of(clip: Mapping[str, Sized]) -> int:
    """Return the size to plan batches by, in samples at 16 kHz: how long a clip takes.

    Args:
        clip: its inputs by modality. Without audio, the one that takes longest counts. One of a
            name that is not ours has a sample an entry, or more where entries are wide.
    """
    if AUDIO in clip:
        return len(clip[AUDIO])
    return max((_size(name, values) for name, values in clip.items()), default=0)


def _size(modality: str, values: Sized) -> int:
    if modality in _RATES:
        return int(len(values) * SAMPLING_RATE / _RATES[modality])
    return max(len(values), int(getattr(values, "size", 0)) // VALUES_PER_SAMPLE)


def find_entry(
    registry: Mapping[str, Entry],
    modality: str,
    module: str,
    kind: str,
    others: Iterable[str] = (),
) -> Entry:
    """Return what a registry has for a modality, after the modules are loaded that may register it.

    Args:
        registry: entries by modality.
        modality: its name.
        module: of this project, that registers the modality if there is such a module.
        kind: of entry, for the error.
        others: further modules that register entries, loaded so that the error names these too.

    Raises:
        ConfigError: nothing is registered, or ``EMI_PLUGINS`` names a module that fails to load.
    """
    load_plugins(os.environ.get(PLUGINS, ""))
    if modality not in registry and modality.isidentifier():
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
    if modality not in registry:
        for other in others:
            import_module(other)
        raise ConfigError(
            f"found no {kind} for {modality!r}, expected one of {sorted(registry)}: name the "
            f"module that registers it in {PLUGINS}"
        )
    return registry[modality]


@cache
def load_plugins(names: str) -> None:
    """Import modules, named in one text and separated by commas, once a process.

    Raises:
        ConfigError: a module cannot be imported.
    """
    for name in filter(None, map(str.strip, names.split(","))):
        try:
            import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"{PLUGINS} names {name!r}, which cannot be imported ({error}): correct it, or put "
                "the module's folder on PYTHONPATH"
            ) from error


def add_entry(registry: dict[str, Entry], modality: str, entry: Entry) -> None:
    """Add an entry to a registry.

    Raises:
        ConfigError: the modality has another entry, or its name is no lower-case identifier.
    """
    if not modality.isidentifier() or modality != modality.lower():
        raise ConfigError(f"modality is {modality!r}, expected a lower-case identifier")
    if modality in registry:
        raise ConfigError(f"{modality!r} is registered twice: give one of them another name")
    registry[modality] = entry
