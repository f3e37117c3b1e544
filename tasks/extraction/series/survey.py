"""What a folder or table of features holds: how many values an entry has, at which rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from emi_model.errors import ConfigError
from tasks.corpus.features.arrays import SeriesArrays, rate_of, read_arrays, shape_of

FILES_READ = 64
"""Files that are looked at, evenly spread over all."""


class Survey(NamedTuple):
    """What most files of a folder hold.

    Attributes:
        num_values: D of each entry (N, D).
        rate: entries a second; None where nothing says so.
        sequential: some clips have several entries, or there is a rate.
        array: name of the array in files that hold several; None: the only one.
    """

    num_values: int
    rate: float | None
    sequential: bool
    array: str | None


def survey(
    files: Sequence[tuple[str, Path]], place: str, modality: str, rate: float | None = None
) -> Survey:
    """Return what files of features hold for a modality.

    Args:
        files: name and path of each, one a clip.
        place: where they lie, for errors.
        modality: its name: of files with several arrays the one of this name is taken.
        rate: entries a second, if it is known; else that of the files, or of their times.

    Raises:
        ConfigError: no file can be read, or they are not of one kind.
    """
    found, problem = _read(files)
    if not found:
        raise ConfigError(f"{place}: found no file of features that can be read: {problem}")
    array = modality if any(modality in one.values for one in found) else None
    try:
        known = rate or _rate(found)
        chosen = [one.chosen(array) for one in found if array is None or array in one.values]
    except ValueError as error:
        raise ConfigError(f"{place}: a file {error}, or one called {modality!r}") from error
    has_times = known is not None or any(one.times is not None for one in found)
    shapes = [shape_of(values) for values in chosen]
    num_values = _width(shapes, is_vector=not has_times)
    if num_values is None:
        raise ConfigError(
            f"{place}: found arrays of shapes {sorted(set(shapes))[:4]} for {modality!r}, expected "
            "(entries, values) with as many values in every clip"
        )
    longest = max(math.prod(shape) // num_values for shape in shapes)
    return Survey(num_values, known, known is not None or longest > 1, array)


def _width(shapes: Sequence[tuple[int, ...]], *, is_vector: bool) -> int | None:
    """Return D of entries (N, D); of flat arrays, which may be vectors or series of one number.

    They are vectors if all have one length, and nothing says that they follow time.
    """
    lengths = {shape[0] for shape in shapes if len(shape) == 1}
    widths = {shape[1] for shape in shapes if len(shape) == 2}
    if not widths:
        widths = lengths if is_vector and len(lengths) == 1 else {1}
    if len(widths) != 1 or any(len(shape) > 2 for shape in shapes):
        return None
    return widths.pop() or None


def _read(files: Sequence[tuple[str, Path]]) -> tuple[list[SeriesArrays], str]:
    """Return some files, and what is wrong with one that cannot be read."""
    found, problem = [], "there is none"
    num_read = min(FILES_READ, len(files))
    for place in range(num_read):
        name, path = files[place * len(files) // num_read]
        try:
            found.append(read_arrays(path))
        except ValueError as error:
            problem = f"{name} {error}"
    return found, problem


def _rate(found: list[SeriesArrays]) -> float | None:
    """Return the rate that files name, else the median of what their times show."""
    named = {one.rate for one in found if one.rate is not None}
    if len(named) > 1:
        raise ValueError(f"has another rate than others: {sorted(named)}")
    if named:
        return named.pop()
    shown = [rate_of(one.times) for one in found if one.times is not None]
    known = sorted(rate for rate in shown if rate is not None)
    return known[len(known) // 2] if known else None
