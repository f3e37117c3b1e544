from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emi_model.audio.windows import duration_weighted_mean, tile
from emi_model.errors import AudioError


@pytest.mark.parametrize(
    ("num_samples", "windows"),
    [
        (0, []),
        (1, [(0, 1)]),  # under one frame, but all there is
        (399, [(0, 399)]),
        (16_000, [(0, 16_000)]),
        (16_001, [(0, 16_000)]),  # a tail of 1 sample cannot be scored
        (16_399, [(0, 16_000)]),
        (16_400, [(0, 16_000), (16_000, 16_400)]),
        (40_000, [(0, 16_000), (16_000, 32_000), (32_000, 40_000)]),
    ],
)
def test_windows_of_a_second(num_samples: int, windows: list[tuple[int, int]]) -> None:
    assert tile(num_samples, 16_000, 400) == windows


@st.composite
def tilings(draw: st.DrawFn) -> tuple[int, int, int]:
    """Draw samples, window and least samples, the window never the least of the three."""
    min_samples = draw(st.integers(1, 500))
    window_samples = draw(st.integers(min_samples, 3_000))
    multiple = window_samples * draw(st.integers(0, 20))
    num_samples = draw(st.one_of(st.integers(0, 50_000), st.integers(-2, 2).map(multiple.__add__)))
    return max(0, num_samples), window_samples, min_samples


@given(tilings())
def test_windows_tile_the_clip(tiling: tuple[int, int, int]) -> None:
    num_samples, window_samples, min_samples = tiling
    windows = tile(*tiling)
    assert bool(windows) == (num_samples > 0)
    ends = [0] + [end for _, end in windows]
    assert [start for start, _ in windows] == ends[:-1]  # half-open, without gap or overlap
    assert all(end - start == window_samples for start, end in windows[:-1])
    left_out = num_samples - ends[-1]
    assert 0 <= left_out < min_samples
    if left_out:
        assert left_out == num_samples % window_samples
    for start, end in windows:
        assert 0 < end - start <= window_samples
        assert end - start >= min_samples or len(windows) == 1


@pytest.mark.parametrize(
    ("num_samples", "window_samples", "min_samples"),
    [(-1, 16_000, 400), (16_000, 399, 400), (16_000, 0, 0), (16_000, -5, 0)],
)
def test_what_cannot_be_tiled_is_refused(
    num_samples: int, window_samples: int, min_samples: int
) -> None:
    with pytest.raises(AudioError, match="cannot tile"):
        tile(num_samples, window_samples, min_samples)


def test_duration_weighted_mean() -> None:
    values = np.array([[0.0, 1.0], [1.0, 5.0]], np.float32)
    found = duration_weighted_mean(values, [3, 1])
    assert found.dtype == np.float32
    assert found.tolist() == [0.25, 2.0]


@given(st.lists(st.tuples(st.floats(-1, 1, width=32), st.integers(1, 10**6)), min_size=1))
def test_duration_weighted_mean_counts_every_sample_once(windows: list[tuple[float, int]]) -> None:
    values = np.array([[value] for value, _ in windows], np.float32)
    durations = [duration for _, duration in windows]
    expected = sum(value * duration for value, duration in windows) / sum(durations)
    (found,) = duration_weighted_mean(values, durations)
    assert found == pytest.approx(expected, abs=1e-6)
