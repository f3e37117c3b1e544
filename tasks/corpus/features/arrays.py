"""A clip's arrays: an ``.npz`` or ``.npy`` file, read without executing anything in it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.threads import NUMPY_HEADERS

FEATURE_SUFFIXES = ("npz", "npy")
"""Suffixes of files of one clip's features, without the dot."""

TIMES = ("time", "times", "timestamp", "timestamps", "seconds")
"""Names of an array, or column, with the time of each entry, in seconds from the clip's start."""

MILLISECONDS = ("time_ms", "timestamp_ms", "milliseconds")
"""The same in milliseconds."""

RATES = ("rate", "sampling_rate", "frame_rate", "fps", "hz")
"""Names of a single number: entries a second."""

MAX_BYTES = 2**30
"""Bytes of an array or file; a larger one is refused."""

MAX_ENTRIES_PER_ROW = 20
"""On the grid of their rate, entries may be at most so many times as many as in the file."""

_ALONE = "values"


class SeriesArrays(NamedTuple):
    """What a file says of one clip.

    Attributes:
        values: arrays of numbers by name; of an ``.npy`` one called ``values``.
        times: seconds of each entry; None where the file does not say.
        rate: entries a second; None likewise.
    """

    values: Mapping[str, NDArray[Any]]
    times: NDArray[np.float64] | None
    rate: float | None

    def chosen(self, name: str | None) -> NDArray[Any]:
        """Return the array of a name; without one, the only array.

        Raises:
            ValueError: there is none, or there are several.
        """
        if name is not None and name in self.values:
            return self.values[name]
        if name is None and len(self.values) == 1:
            return next(iter(self.values.values()))
        expected = "one array" if name is None else f"one called {name!r}"
        raise ValueError(
            f"holds {', '.join(sorted(self.values)) or 'nothing'}, expected {expected}"
        )


def read_arrays(path: Path) -> SeriesArrays:
    """Return the arrays of numbers in a file.

    Raises:
        ValueError: it cannot be read; the text says why.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"has {path.stat().st_size} bytes, expected at most {MAX_BYTES}")
        content = io.BytesIO(path.read_bytes())
        if not zipfile.is_zipfile(content):
            content.seek(0)
            with NUMPY_HEADERS:
                alone = np.load(content, allow_pickle=False)
            return SeriesArrays({_ALONE: _numbers(alone)}, None, None)
        with zipfile.ZipFile(content) as members:
            _check_sizes(members)
        content.seek(0)
        with NUMPY_HEADERS, np.load(content, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot be read ({error})") from error
    except NotImplementedError as error:
        raise ValueError(f"is packed in an unusual way ({error})") from error
    return _sorted(found)


def _check_sizes(members: zipfile.ZipFile) -> None:
    total = sum(member.file_size for member in members.infolist())
    if total > MAX_BYTES:
        raise ValueError(f"holds {total} bytes, expected at most {MAX_BYTES}")


def _sorted(arrays: Mapping[str, NDArray[Any]]) -> SeriesArrays:
    """Return the arrays of a file with its times and rate apart."""
    values = {}
    times: NDArray[np.float64] | None = None
    rate: float | None = None
    for name, array in arrays.items():
        plain = name.lower()
        if plain in (*TIMES, *MILLISECONDS) and array.ndim == 1:
            times = _numbers(array).astype(np.float64) / (1000 if plain in MILLISECONDS else 1)
        elif plain in RATES and array.size == 1:
            rate = float(_numbers(array).item())
        elif array.dtype.kind in "fiub":
            values[name] = array
    return SeriesArrays(values, times, rate)


def _numbers(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"holds {array.dtype}, expected numbers")
    return array


def shape_of(values: NDArray[Any]) -> tuple[int, ...]:
    """Return the shape of an array, of more than two axes without those of length 1."""
    if values.ndim <= 2:
        return values.shape or (1,)
    return tuple(length for length in values.shape if length != 1) or (1,)


def rate_of(times: NDArray[np.float64]) -> float | None:
    """Return the entries a second that times show: 1 / the median step; None of fewer than two.

    Raises:
        ValueError: they do not rise, or the step is longer than 10 s.
    """
    if len(times) < 2:
        return None
    step = float(np.median(np.diff(times)))
    if not 0 < step <= 10:
        raise ValueError(
            f"shows {step:g} s between entries, expected seconds that rise by 10 or less (of "
            f"milliseconds: call it {MILLISECONDS[0]})"
        )
    return round(1 / step, 6)


def on_grid(values: NDArray[Any], times: NDArray[np.float64], rate: float) -> NDArray[np.float32]:
    """Return entries (N, D) at ``0, 1/rate, 2/rate, ...`` seconds, NaN where the file has none.

    An entry goes to the nearest of these times; of two at one time the later one stays.

    Raises:
        ValueError: a time is negative or far behind the others, or there are more or fewer times
            than entries.
    """
    if len(times) != len(values):
        raise ValueError(f"has {len(times)} times for {len(values)} entries")
    if not len(values):
        return np.zeros(values.shape, np.float32)
    places = np.floor(times * rate + 0.5)
    last = float(places.max()) if np.isfinite(places).all() else np.inf
    if places.min() < 0 or last >= MAX_ENTRIES_PER_ROW * len(values) + 100 * rate:
        raise ValueError(
            f"has times from {times.min():g} to {times.max():g} for {len(values)} entries, "
            "expected seconds from the clip's start"
        )
    found = np.full((int(last) + 1, *values.shape[1:]), np.nan, np.float32)
    found[places.astype(np.int64)] = values
    return found
