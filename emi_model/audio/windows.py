"""Windows: the stretches of a clip that the model scores one at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emi_model.errors import AudioError


def tile(num_samples: int, window_samples: int, min_samples: int) -> list[tuple[int, int]]:
    """Cover ``[0, num_samples)`` with half-open windows of ``window_samples``, the last shorter.

    A last window under ``min_samples`` (one frame of the backbone) cannot be scored: it is left
    out, unless it is the only one.

    Raises:
        AudioError: a negative count, or a window that is shorter than one frame.
    """
    if num_samples < 0 or window_samples < max(1, min_samples):
        raise AudioError(f"cannot tile {num_samples} samples by windows of {window_samples}")
    starts = range(0, num_samples, window_samples)
    windows = [(start, min(start + window_samples, num_samples)) for start in starts]
    if len(windows) > 1 and windows[-1][1] - windows[-1][0] < min_samples:
        windows.pop()
    return windows


def duration_weighted_mean(
    values: NDArray[np.float32], durations: Sequence[int]
) -> NDArray[np.float32]:
    """Return the mean over windows of ``values`` (windows, K), weighted by their durations."""
    return np.average(values, axis=0, weights=durations).astype(np.float32)
