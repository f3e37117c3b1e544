"""Functionals against statistics from the standard library."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean, pstdev

import numpy as np
import pytest

from emi_model.arrays import Doubles
from emi_model.audio.features.descriptors import DESCRIPTORS, descriptors
from emi_model.audio.features.functionals import FUNCTIONALS, functionals
from tests.emi_model.audio.features.test_pitch import voice


def percentile(values: list[float], share: float) -> float:
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    below = int(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])


def statistics_of(values: list[float]) -> list[float]:
    steps = [abs(b - a) for a, b in pairwise(values)]
    ranks = [percentile(values, share) for share in (0.2, 0.5, 0.8)]
    return [fmean(values), pstdev(values), *ranks, fmean(steps)]


def spoken(seconds: float = 1.8) -> Doubles:
    """Return a voice with a pause and some noise."""
    found = voice(140.0, seconds) + 0.003 * np.random.default_rng(0).standard_normal(
        int(seconds * 16_000)
    )
    found[6400:9600] *= 0.001
    return found


def test_each_second_has_the_statistics_of_its_frames() -> None:
    waveform = spoken()
    found, frames = functionals(waveform), descriptors(waveform)
    assert found.dtype == np.float32
    assert found.shape == (3, len(FUNCTIONALS)) == (3, 106)
    for entry, (first, behind) in zip(found, [(0, 100), (50, 150), (100, 180)], strict=True):
        values = dict(zip(FUNCTIONALS, entry.tolist(), strict=True))
        for number, name in enumerate(DESCRIPTORS):
            own = [one for one in frames[first:behind, number].tolist() if one == one]
            expected = statistics_of(own)
            kinds = ("mean", "deviation", "low", "median", "high", "movement")
            for kind, value in zip(kinds, expected, strict=True):
                assert values[f"{name}_{kind}"] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_rhythm_of_a_voice_with_a_pause() -> None:
    first = dict(zip(FUNCTIONALS, functionals(spoken())[0].tolist(), strict=True))
    assert first["voiced_share"] == pytest.approx(0.8, abs=0.03)
    assert first["voiced_stretches"] == 2
    assert first["voiced_seconds"] == pytest.approx(0.4, abs=0.015)
    assert first["pitch_median"] == pytest.approx(12 * np.log2(140 / 27.5), abs=0.1)
    beats = np.repeat([0.0, 0.2] * 5, 1600) * np.random.default_rng(0).standard_normal(16_000)
    peaks = dict(zip(FUNCTIONALS, functionals(beats)[0].tolist(), strict=True))["loudness_peaks"]
    assert peaks >= 5


@pytest.mark.parametrize("count", [1, 400, 16_000])
def test_without_a_voice_only_pitch_is_unknown(count: int) -> None:
    for entry in functionals(np.zeros(count, np.int16)):
        unknown = {name for name, value in zip(FUNCTIONALS, entry, strict=True) if value != value}
        assert unknown == {name for name in FUNCTIONALS if name.startswith("pitch_")}
        assert entry[FUNCTIONALS.index("voiced_share")] == 0
