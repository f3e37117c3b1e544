"""Descriptors of sounds for which they can be said beforehand."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from emi_model.arrays import Doubles
from emi_model.audio.features.descriptors import DESCRIPTORS, descriptors
from emi_model.audio.features.mfcc import cepstra


def measured(waveform: Doubles) -> dict[str, Doubles]:
    found = descriptors(waveform)
    assert found.shape == (max(1, len(waveform) // 160), len(DESCRIPTORS))
    return dict(zip(DESCRIPTORS, found.T, strict=True))


def tone(*parts: tuple[float, float], count: int = 8000) -> Doubles:
    """Return a sum of sines, each (hertz, amplitude)."""
    times = np.arange(count) / 16_000
    found: Doubles = np.sum([level * np.sin(2 * np.pi * at * times) for at, level in parts], axis=0)
    return found


def test_of_a_pure_tone() -> None:
    found = measured(tone((400.0, 0.5)))
    middle = {name: values[5:-5] for name, values in found.items()}
    near = partial(np.testing.assert_allclose, rtol=0)
    near(middle["loudness"], 20 * np.log10(0.5 / np.sqrt(2)), atol=0.01)
    near(middle["zero_crossings"], 2 * 400 / 16_000, atol=1 / 399)
    near(middle["centroid"], 0.4, atol=0.01)
    assert middle["spread"].max() < 0.05
    near(middle["rolloff"], 0.4, atol=0.04)
    near(middle["pitch"], 12 * np.log2(400 / 27.5), atol=0.05)
    assert middle["flatness"].max() < -40
    assert middle["slope_low"].min() > 0
    assert middle["slope_high"].max() < 0


def test_ratios_of_bands_are_those_of_the_tones_in_them() -> None:
    found = measured(tone((500.0, 0.2), (3000.0, 0.02)))
    for name in ("alpha_ratio", "hammarberg"):
        np.testing.assert_allclose(found[name][5:-5], 20.0, atol=0.3, rtol=0)


def test_of_white_noise() -> None:
    found = measured(0.1 * np.random.default_rng(0).standard_normal(32_000))
    mean = {name: float(values.mean()) for name, values in found.items()}
    assert mean["loudness"] == pytest.approx(-20, abs=0.2)
    assert mean["zero_crossings"] == pytest.approx(0.5, abs=0.01)
    assert mean["centroid"] == pytest.approx(4.0, abs=0.1)
    assert mean["spread"] == pytest.approx(8 / 12**0.5, abs=0.1)
    assert mean["rolloff"] == pytest.approx(0.85 * 8, abs=0.15)
    assert mean["flatness"] == pytest.approx(-10 * np.log10(np.e) * np.euler_gamma, abs=0.2)


def test_cepstra_and_how_far_they_move() -> None:
    waveform = 0.1 * np.random.default_rng(0).standard_normal(1600)
    found, expected = measured(waveform), cepstra(waveform)
    for number in (1, 2, 3, 4):
        np.testing.assert_array_equal(found[f"mfcc_{number}"], expected[:, number])
    steps = [0.0, *(np.linalg.norm(b[1:] - a[1:]) for a, b in pairwise(expected))]
    np.testing.assert_allclose(found["change"], steps)


@pytest.mark.parametrize("count", [1, 200, 1600])
def test_of_silence_all_but_pitch_is_finite(count: int) -> None:
    found = measured(np.zeros(count))
    assert np.isnan(found.pop("pitch")).all()
    assert np.isfinite(list(found.values())).all()
    assert (found["loudness"] == -100).all()
