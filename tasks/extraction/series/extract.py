"""The extractor of features that a user gives: a clip's file becomes entries (N, D)."""

from __future__ import annotations

import hashlib
import json
import math
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.corpus.features.arrays import (
    FEATURE_SUFFIXES,
    SeriesArrays,
    on_grid,
    read_arrays,
    shape_of,
)
from tasks.corpus.features.folders import feature_files, feature_index
from tasks.extraction.registry import ClipMedia, Extractor
from tasks.extraction.series.settings import SeriesSettings
from tasks.schema.outcomes import Reason, Rejection

SERIES_VERSION = 1
"""Of this extractor; increased when the same file gives another input."""

_DETAIL_CHARS = 300
_KEY_CHARS = 12


@cache
def series_extractor(modality: str) -> Extractor:
    """Return the extractor that reads a modality's features, whatever it is called."""
    return Extractor(
        modality,
        SERIES_VERSION,
        needs_audio=False,
        extract=partial(_extract, modality),
        key=_key,
        facts=_facts,
        by_name=_is_by_name,
    )


def entries_of(arrays: SeriesArrays, settings: SeriesSettings) -> NDArray[np.float32]:
    """Return a file's entries as float32 (N, D), at the rate of the settings.

    A single row of numbers is one entry, or many of one number, as D says.

    Raises:
        ValueError: it holds something else; the text says what.
    """
    values = arrays.chosen(settings.array)
    size = settings.num_values
    values = values.reshape(shape_of(values))
    if values.ndim == 1:
        values = values[None] if len(values) == size > 1 else values[:, None]
    if values.ndim != 2 or values.shape[1] != size:
        raise ValueError(f"holds an array of shape {values.shape}, expected (entries, {size})")
    entries = values.astype(np.float32)
    if settings.rate is None:
        return entries
    if arrays.rate is not None and not math.isclose(arrays.rate, settings.rate, rel_tol=0.01):
        raise ValueError(f"has {arrays.rate:g} entries a second, expected {settings.rate:g}")
    return entries if arrays.times is None else on_grid(entries, arrays.times, settings.rate)


def _extract(modality: str, media: ClipMedia) -> NDArray[Any] | Rejection:
    """Return float32 (N, D), NaN where nothing was measured."""
    settings: SeriesSettings = media.options[modality]
    file = _file_of(media, settings)
    if file is None:
        words = f"no features called {modality} for {media.clip_id}"
        return Rejection(reason=Reason.NO_SERIES, detail=words[:_DETAIL_CHARS])
    try:
        entries = entries_of(read_arrays(file), settings)
    except ValueError as error:
        words = f"{modality}: {file.name} {error}"
        return Rejection(reason=Reason.BAD_SERIES, detail=words[:_DETAIL_CHARS])
    if settings.rate is not None and media.max_seconds is not None:
        entries = entries[: math.ceil(media.max_seconds * settings.rate) + 1]
    if not np.isfinite(entries).any():
        words = f"{modality}: {file.name} holds no number in its {len(entries)} entries"
        return Rejection(reason=Reason.NO_SERIES, detail=words[:_DETAIL_CHARS])
    return entries


def _file_of(media: ClipMedia, settings: SeriesSettings) -> Path | None:
    if settings.folder is not None:
        return feature_index(Path(settings.folder)).of(media.clip_id)
    suffix = media.path.suffix.lower().removeprefix(".")
    return media.path if suffix in FEATURE_SUFFIXES else None


def _is_by_name(settings: SeriesSettings) -> bool:
    return settings.folder is not None


def _key(settings: SeriesSettings) -> str:
    """Return a hash of what decides the entries of every clip; it reads all files once."""
    content = "" if settings.folder is None else _content_of(Path(settings.folder))
    decides = [content, settings.num_values, settings.rate, settings.array]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:_KEY_CHARS]


def _facts(settings: SeriesSettings) -> dict[str, str]:
    rate = "none" if settings.rate is None else f"{settings.rate:g}"
    return {
        "source": settings.source,
        "values": str(settings.num_values),
        "rate": rate,
        "key": _key(settings),
    }


@cache
def _content_of(folder: Path) -> str:
    """Return a hash of a folder's files of features and their names."""
    digest = hashlib.sha256()
    for name, path in feature_files(folder):
        with path.open("rb") as content:
            own = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{name}\0{own}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()
