"""``NAME=PATH`` on the command line becomes branches of a recipe, and settings of extractors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emi_model.architecture.config import KIND, OPTIONAL, SERIES, EmiConfig
from emi_model.errors import ConfigError
from emi_model.modalities import AUDIO, TRANSCRIPT
from tasks.corpus.features.arrays import FEATURE_SUFFIXES
from tasks.corpus.features.folders import feature_files, feature_folder
from tasks.corpus.listing import holds_features
from tasks.extraction.registry import has_extractor
from tasks.extraction.series.settings import SeriesSettings
from tasks.extraction.series.survey import survey
from tasks.progress import remark

_OURS = (AUDIO, TRANSCRIPT)


class Given(NamedTuple):
    """Features as a user names them.

    Attributes:
        path: folder of files, one a clip, or a table; None: the clips themselves.
        rate: entries a second; None: what the files say.
    """

    path: str | None
    rate: float | None = None


NO_FEATURES: Mapping[str, Given] = {}


def parse_features(texts: Sequence[str]) -> dict[str, Given]:
    """Return by modality what texts such as ``pulse=sensors.parquet`` or ``face=openface@30`` name.

    Raises:
        ConfigError: a text is something else, or two have one name.
    """
    found: dict[str, Given] = {}
    for text in texts:
        name, _, place = text.partition("=")
        if not name or not place:
            raise ConfigError(f"features are {text!r}, expected NAME=PATH, or NAME=PATH@HZ")
        if name in found:
            raise ConfigError(f"features are called {name!r} twice: give one another name")
        if name in _OURS:
            raise ConfigError(
                f"features are called {name!r}, which is read from the clips: choose another name"
            )
        found[name] = _given(place)
    return found


def _given(place: str) -> Given:
    path, separator, rate = place.rpartition("@")
    if separator and path and not Path(place).expanduser().exists():
        try:
            if float(rate) > 0:
                return Given(path, float(rate))
        except ValueError:
            pass
    return Given(place)


def series_branches(given: Mapping[str, Given], corpus: str) -> dict[str, dict[str, Any]]:
    """Return the arguments of a new model's branches of features, by modality: all are optional.

    Args:
        given: by modality.
        corpus: whose clips are features themselves, where a path is None.

    Raises:
        ConfigError: files that do not fit each other.
        CorpusError: no features at a path.
    """
    branches = {}
    for name, one in given.items():
        path = one.path or corpus
        found = survey(_files(path), path, name, one.rate)
        branches[name] = {
            KIND: SERIES,
            "num_values": found.num_values,
            "rate": found.rate,
            "sequential": found.sequential,
            OPTIONAL: True,
        }
    return branches


def series_settings(
    config: EmiConfig, given: Mapping[str, Given], corpus: str
) -> dict[str, SeriesSettings]:
    """Return the settings of the extractors of a model's features, by modality.

    Features that are not given are those of the clips themselves, if the corpus is made of such.

    Args:
        config: of the model.
        given: by modality.
        corpus: folder, file or manifest of the clips.

    Raises:
        ConfigError: the model does not take what is given, or needs what is not.
        CorpusError: no features at a path.
    """
    series = [name for name in config.branches if config.kind_of(name) == SERIES]
    if unknown := sorted(given.keys() - set(series)):
        raise ConfigError(
            f"features are called {', '.join(unknown)}, but this model takes "
            f"{', '.join(series) or 'none'}"
        )
    found = {}
    for name in series:
        if name in given or (not has_extractor(name) and holds_features(corpus)):
            found[name] = _settings(config, name, given.get(name, Given(None)), corpus)
        elif not has_extractor(name):
            advice = f"no features are given for {name!r}, which this model takes: --features "
            if name in config.required:
                raise ConfigError(f"{advice}{name}=PATH")
            remark(f"{advice}{name}=PATH; clips are scored without")
            found[name] = SeriesSettings(None, int(config.branches[name]["num_values"]))
    return found


def _settings(config: EmiConfig, name: str, given: Given, corpus: str) -> SeriesSettings:
    """Return the settings of one modality, whose files fit the model.

    Raises:
        ConfigError: they do not.
    """
    arguments, path = config.branches[name], given.path or corpus
    num_values, rate = int(arguments["num_values"]), arguments.get("rate")
    found = survey(_files(path), path, name, given.rate or rate)
    if found.num_values != num_values:
        raise ConfigError(
            f"{path}: found {found.num_values} values an entry, but this model takes {num_values} "
            f"of {name!r}: give the features that it was trained with"
        )
    if given.rate is not None and given.rate != rate:
        raise ConfigError(
            f"{path}: {given.rate:g} entries a second, but this model takes {rate} of {name!r}"
        )
    folder = None if given.path is None else str(feature_folder(path))
    return SeriesSettings(folder, num_values, rate, found.array, Path(path).name)


def _files(path: str) -> list[tuple[str, Path]]:
    """Return names and files of features: those of a folder or table, or a single one."""
    if Path(path).is_file() and Path(path).suffix.lower() in (f".{s}" for s in FEATURE_SUFFIXES):
        return [(path, Path(path))]
    return list(feature_files(feature_folder(path)))
