from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emi_model.units import (
    CLIP_SECONDS,
    INT16_FULL_SCALE,
    SAMPLING_RATE,
    samples_to_seconds,
    seconds_to_samples,
)


def test_constants_are_those_of_the_paper() -> None:
    assert (SAMPLING_RATE, CLIP_SECONDS) == (16_000, 12.0)
    assert INT16_FULL_SCALE == 2**15


@pytest.mark.parametrize(
    ("seconds", "sampling_rate", "samples"),
    [
        (0.0, 16_000, 0),
        (1.0, 16_000, 16_000),
        (12.0, 16_000, 192_000),
        (0.02, 16_000, 320),
        (0.5, 1, 1),  # half goes up
        (1.5, 1, 2),
        (0.49, 1, 0),
        (0.064, 16_000, 1_024),
    ],
)
def test_seconds_become_the_nearest_sample(
    seconds: float, sampling_rate: int, samples: int
) -> None:
    assert seconds_to_samples(seconds, sampling_rate) == samples


@given(st.integers(0, 2**40), st.sampled_from([1, 8_000, 16_000, 44_100, 48_000]))
def test_samples_survive_seconds(samples: int, sampling_rate: int) -> None:
    seconds = samples_to_seconds(samples, sampling_rate)
    assert seconds_to_samples(seconds, sampling_rate) == samples


@given(st.floats(0, 1e6))
def test_rounding_is_off_by_half_a_sample_at_most(seconds: float) -> None:
    assert abs(samples_to_seconds(seconds_to_samples(seconds)) - seconds) <= 0.5001 / SAMPLING_RATE
