"""Levels of frames, and pauses of a length that is given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emi_model.audio.loudness import FRAME_SAMPLES, find_pauses, frame_powers, power_dbfs
from emi_model.audio.waveform import rms_dbfs
from emi_model.units import SAMPLING_RATE


def levels(waveform):
    return power_dbfs(frame_powers(waveform))


def test_a_sine_of_half_scale_is_nine_decibels_below_full_scale():
    times = np.arange(SAMPLING_RATE) / SAMPLING_RATE
    tone = (2**14 * np.sin(2 * np.pi * 100 * times)).astype(np.int16)
    assert levels(tone) == pytest.approx(np.full(50, -9.03), abs=0.01)
    assert levels(np.zeros(640, np.int16)).tolist() == [-100, -100]
    assert levels(np.zeros(0, np.int16)).tolist() == []


@given(num_samples=st.integers(1, 3_000), seed=st.integers(0, 9))
def test_frames_together_are_the_waveform(num_samples, seed):
    waveform = np.random.default_rng(seed).integers(-3_000, 3_000, num_samples).astype(np.int16)
    powers = frame_powers(waveform)
    lengths = np.diff([*range(0, num_samples, FRAME_SAMPLES), num_samples])
    mean = (powers * lengths).sum() / num_samples
    assert power_dbfs(mean) == pytest.approx(rms_dbfs(waveform), abs=1e-6)


@given(
    stretches=st.lists(st.tuples(st.integers(10, 60), st.integers(1, 60)), min_size=1, max_size=5),
    lead=st.integers(0, 40),
    loud=st.floats(-40, -3),
)
def test_pauses_are_the_quiet_stretches_of_a_third_of_a_second(stretches, lead, loud):
    """Sounds at one level, silence between, before and after."""
    made, wanted = [-90.0] * lead, []
    for sounding, quiet in stretches:
        made += [loud] * sounding
        wanted.append((len(made), len(made) + quiet))
        made += [loud - 26] * quiet
    wanted = [(start, end) for start, end in wanted[:-1] if end - start >= 15]
    if sum(sounding for sounding, _ in stretches) > 0.06 * len(made):
        assert find_pauses(np.array(made)) == wanted


def test_silence_and_steady_noise_have_no_pause():
    assert find_pauses(np.full(200, -100.0)) == []
    assert find_pauses(np.full(200, -50.0)) == []
    assert find_pauses(np.zeros(0)) == []
