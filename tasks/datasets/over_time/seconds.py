"""Labels over time at one a second, and windows of these: a clip has one label.

A second is labelled if at least half of its frames are, a window if at least half of its seconds
are: means of less would be labels of a moment, not of the stretch that a model is given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.float64]

_ROUNDING = 1e-6
"""Seconds that a time may lie before the second that it belongs to: 0.1 thirty times is 2.99..."""


class LabelledWindow(NamedTuple):
    """A stretch of a recording and its labels.

    Attributes:
        start: first second.
        end: the one after the last.
        values: (labels,) mean of the labelled seconds; NaN where fewer than half are labelled.
    """

    start: int
    end: int
    values: Labels


def per_second(times: Labels, values: Labels, rate: float) -> Labels:
    """Return the mean label of every second.

    Args:
        times: (frames,) seconds from the beginning, not negative.
        values: (frames, labels); NaN where there is none.
        rate: frames a second.

    Returns:
        (seconds, labels); NaN where fewer than half of a second's frames have a label.
    """
    if not len(times):
        return np.empty((0, values.shape[1]))
    second = np.floor(times + _ROUNDING).astype(int)
    valid = ~np.isnan(values)
    counts = np.zeros((second.max() + 1, values.shape[1]))
    sums = np.zeros_like(counts)
    np.add.at(counts, second, valid)
    np.add.at(sums, second, np.where(valid, values, 0.0))
    enough = counts * 2 >= rate * (1 - _ROUNDING)
    return np.where(enough, sums / np.maximum(counts, 1), np.nan)


def windows(seconds: Labels, length: int) -> Iterator[LabelledWindow]:
    """Yield windows side by side, from the first second on, without those that have no label.

    Args:
        seconds: (seconds, labels), as `per_second` returns them.
        length: seconds of a window; the last one may be shorter.
    """
    for start in range(0, len(seconds), length):
        piece = seconds[start : start + length]
        valid = ~np.isnan(piece)
        counts = valid.sum(axis=0)
        sums = np.where(valid, piece, 0.0).sum(axis=0)
        values = np.where(counts * 2 >= length, sums / np.maximum(counts, 1), np.nan)
        if not np.isnan(values).all():
            yield LabelledWindow(start, start + len(piece), values)


def on_scale(values: Labels, low: float, high: float) -> Labels:
    """Return labels as 0 for ``low`` to 1 for ``high``; NaN for what lies outside."""
    shares = (values - low) / (high - low)
    inside = (shares >= -_ROUNDING) & (shares <= 1 + _ROUNDING)
    return np.where(inside, np.clip(shares, 0.0, 1.0), np.nan)


def until(times: Labels, end: float | None) -> slice:
    """Return the frames before the recording's end; all if that is unknown.

    Args:
        times: (frames,) seconds, ascending.
        end: seconds.
    """
    return slice(None) if end is None else slice(int(np.searchsorted(times, end)))


def number_or_none(value: float) -> float | None:
    """Return a label, None in place of NaN."""
    return None if math.isnan(value) else float(value)
