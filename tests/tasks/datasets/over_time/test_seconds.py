"""Labels over time become labels of seconds, then of windows."""

import numpy as np
import pytest

from tasks.datasets.over_time.seconds import number_or_none, on_scale, per_second, until, windows

NAN = float("nan")


def column(*values):
    return np.array(values, dtype=float)[:, None]


def test_a_second_is_the_mean_of_its_frames():
    times = np.arange(10) / 4
    found = per_second(times, column(0, 1, 0, 1, 1, 1, 1, 1, 0, 1), 4)
    assert found[:, 0].tolist() == [0.5, 1, 0.5]


def test_a_second_needs_half_of_its_frames():
    times = np.arange(9) / 4
    found = per_second(times, column(0.2, NAN, 0.4, NAN, 1, NAN, NAN, NAN, 1), 4)
    assert found[:, 0].tolist() == pytest.approx([0.3, NAN, NAN], nan_ok=True)


def test_times_of_a_tenth_fall_into_their_second():
    times = np.cumsum(np.full(31, 0.1)) - 0.1  # the 31st is 3.0000000000000004 or 2.9999...
    found = per_second(times, column(*range(31)), 10)
    assert found[:3, 0].tolist() == pytest.approx([4.5, 14.5, 24.5])


def test_labels_of_one_frame_are_missing_each_by_itself():
    values = np.array([[0.0, NAN], [1.0, NAN]])
    assert per_second(np.array([0.0, 0.5]), values, 2).tolist() == [
        [0.5, pytest.approx(NAN, nan_ok=True)]
    ]
    assert per_second(np.array([]), np.empty((0, 2)), 2).shape == (0, 2)


def test_windows_lie_side_by_side_and_need_half_of_their_seconds():
    seconds = column(0, 1, NAN, NAN, NAN, NAN, 1, NAN, 0.5, 0.7)
    found = [(start, end, values.tolist()) for start, end, values in windows(seconds, 4)]
    assert found == [(0, 4, [0.5]), (8, 10, [pytest.approx(0.6)])]


def test_windows_of_one_second_are_the_seconds():
    seconds = column(0.1, NAN, 0.3)
    assert [(w.start, w.end, w.values[0]) for w in windows(seconds, 1)] == [
        (0, 1, 0.1),
        (2, 3, 0.3),
    ]


def test_scale_and_end():
    assert on_scale(column(-1, 0, 1, -5, 1.2), -1, 1)[:, 0].tolist() == pytest.approx(
        [0, 0.5, 1, NAN, NAN], nan_ok=True
    )
    times = np.arange(5) / 2
    assert times[until(times, 1.5)].tolist() == [0, 0.5, 1]
    assert len(times[until(times, None)]) == 5
    assert (number_or_none(NAN), number_or_none(0.5)) == (None, 0.5)
