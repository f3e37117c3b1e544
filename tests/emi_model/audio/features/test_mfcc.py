"""MFCC against `transformers.audio_utils` and a transform written as its sum."""

from __future__ import annotations

from math import cos, pi, sqrt

import numpy as np
import pytest
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from emi_model.arrays import Doubles
from emi_model.audio.features.mfcc import cepstra, mfcc, slopes


def reference(waveform: Doubles) -> Doubles:
    """Return 13 MFCC (F, 13) of samples in [-1, 1]."""
    padded = np.pad(waveform, (120, 400), mode="symmetric")
    bands = spectrogram(
        padded,
        window_function(400, "hann", periodic=True),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2.0,
        center=False,
        preemphasis=0.97,
        mel_filters=mel_filter_bank(257, 26, 20.0, 8000.0, 16_000, norm=None, mel_scale="htk"),
        mel_floor=1e-10,
        log_mel="log",
        dtype=np.float64,
    ).T[: len(waveform) // 160]
    scale = [sqrt(1 / 26)] + [sqrt(2 / 26)] * 12
    return np.array(
        [
            [
                scale[k] * sum(x * cos(pi * k * (n + 0.5) / 26) for n, x in enumerate(frame))
                for k in range(13)
            ]
            for frame in bands
        ]
    )


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.3])
def test_mfcc_are_those_of_the_reference(level: float) -> None:
    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(4000) * 2 * pi * 220 / 16_000)
    waveform = (level * (tone + 0.1 * rng.standard_normal(4000))).astype(np.float32)
    found = mfcc(waveform)
    expected = reference(waveform.astype(np.float64))
    assert found.shape == (25, 39)
    assert found.dtype == np.float32
    np.testing.assert_allclose(cepstra(waveform), expected, atol=1e-6)
    np.testing.assert_allclose(found[:, :13], expected, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(found[:, 13:26], slopes(expected), atol=1e-4)
    np.testing.assert_allclose(found[:, 26:], slopes(slopes(expected)), atol=1e-4)


def test_a_slope_is_that_of_the_best_line_through_five_frames() -> None:
    values = np.random.default_rng(0).standard_normal((7, 2))
    found = slopes(values)
    extended = np.concatenate([values[:1], values[:1], values, values[-1:], values[-1:]])
    for place in range(7):
        lines = np.polyfit(np.arange(5), extended[place : place + 5], 1)
        np.testing.assert_allclose(found[place], lines[0], atol=1e-12)
    assert slopes(values[:1]).tolist() == [[0, 0]]
