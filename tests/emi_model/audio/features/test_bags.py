"""Bags of audio words, counted a frame at a time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from emi_model.audio.features import bags
from emi_model.audio.features.bags import bags_of_words, codebook, words_of
from emi_model.audio.features.mfcc import mfcc
from tests.emi_model.audio.features.test_functionals import spoken


def test_each_second_counts_the_nearest_words_of_its_frames() -> None:
    waveform = spoken()
    frames = mfcc(waveform)[:, :26].astype(np.float64)
    scaled = (frames - frames.mean(axis=0)) / frames.std(axis=0)
    nearest = [
        sorted(range(256), key=lambda word: float(np.linalg.norm(frame - codebook()[word])))[:5]
        for frame in scaled
    ]
    found = bags_of_words(waveform)
    assert found.shape == (3, 256)
    assert found.dtype == np.float32
    for bag, (first, behind) in zip(found, [(0, 100), (50, 150), (100, 180)], strict=True):
        counted = Counter(word for frame in nearest[first:behind] for word in frame)
        expected = [np.log1p(counted[word] * 100 / (behind - first)) for word in range(256)]
        assert np.abs(bag - expected).max() < 1e-5
        assert np.expm1(bag).sum() > 499.9


def test_the_codebook_is_the_same_on_every_machine() -> None:
    assert codebook().shape == (256, 26)
    np.testing.assert_allclose(codebook()[0, :3], [1.62434536, -0.61175641, -0.52817175])
    np.testing.assert_allclose(codebook()[-1, -1], 0.83097988)
    assert abs(float(codebook().std()) - 1) < 0.02


def test_a_long_clip_is_heard_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.random.default_rng(0).standard_normal((23, 26))
    whole = words_of(frames)
    monkeypatch.setattr(bags, "_AT_ONCE", 9)
    np.testing.assert_array_equal(words_of(frames), whole)
    assert whole.shape == (23, 5)


def test_silence_has_words_too() -> None:
    (silent,) = bags_of_words(np.zeros(1, np.int16))
    assert np.expm1(silent).sum() > 499.9
