"""Pitch of tones whose pitch is known, and of what has none."""

from __future__ import annotations

import numpy as np
import pytest

from emi_model.arrays import Doubles
from emi_model.audio.features.pitch import pitch


def voice(hertz: float, seconds: float = 0.5, harmonics: int = 8) -> Doubles:
    """Return a sum of harmonics, each weaker than the one before."""
    times = np.arange(int(seconds * 16_000)) / 16_000
    parts = [np.sin(2 * np.pi * k * hertz * times + k) / k for k in range(1, harmonics + 1)]
    found: Doubles = 0.1 * np.sum(parts, axis=0)
    return found


@pytest.mark.parametrize("hertz", [80.0, 121.3, 200.0, 333.3, 480.0])
@pytest.mark.parametrize("harmonics", [1, 8])
def test_pitch_of_a_tone(hertz: float, harmonics: int) -> None:
    found = pitch(voice(hertz, harmonics=harmonics))
    inner = found.hertz[2:-2]  # a mirrored tone has another phase
    assert len(found.hertz) == 50
    np.testing.assert_allclose(inner, hertz, rtol=0.005)
    assert found.harmonicity[2:-2].min() > 0.95


def test_pitch_follows_a_glide() -> None:
    times = np.arange(16_000) / 16_000
    heights = 100 * 2**times
    glide = 0.2 * np.sin(2 * np.pi * np.cumsum(heights) / 16_000)
    expected = heights[80::160]
    np.testing.assert_allclose(pitch(glide).hertz[2:-2], expected[2:-2], rtol=0.02)


def test_noise_and_silence_have_no_pitch() -> None:
    rng = np.random.default_rng(0)
    noise = pitch(0.1 * rng.standard_normal(16_000))
    assert np.isfinite(noise.hertz).mean() < 0.1
    assert noise.harmonicity.max() < 0.6
    for quiet in (np.zeros(1600), 5e-4 * voice(200.0)):
        found = pitch(quiet)
        assert np.isnan(found.hertz).all()
        assert not found.harmonicity.any()


def test_harmonicity_is_the_share_of_the_power_that_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    clean = voice(150.0, 2.0)
    for share in (0.6, 0.8, 0.95):
        noise = rng.standard_normal(len(clean)) * np.sqrt(clean.var() * (1 / share - 1))
        assert pitch(clean + noise).harmonicity.mean() == pytest.approx(share, abs=0.05)
