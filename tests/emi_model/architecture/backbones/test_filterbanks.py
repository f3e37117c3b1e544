"""Our log-mel bands against those of transformers, where these do not depend on padding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import SeamlessM4TFeatureExtractor, WhisperFeatureExtractor

from emi_model.architecture.backbones.filterbanks import kaldi_bands, whisper_bands
from emi_model.audio.batching import pad
from emi_model.units import SAMPLING_RATE

Noises = Callable[..., list[np.ndarray]]


@pytest.mark.parametrize("num_bands", [80, 128])
def test_whispers_are_the_first_steps_of_a_padded_window(noises: Noises, num_bands: int) -> None:
    clips = noises([16_000, 500, 7_777])
    theirs = WhisperFeatureExtractor(feature_size=num_bands)
    found = whisper_bands(pad(clips)[0], num_bands, 101)
    for bands, clip in zip(found, clips, strict=True):
        padded = theirs(clip, sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features[0]
        torch.testing.assert_close(bands, padded[:, :101], rtol=0, atol=1e-4)


def test_silence_has_the_lowest_band() -> None:
    assert torch.equal(whisper_bands(torch.zeros(1, 1_000), 80, 4), torch.full((1, 80, 4), -1.5))


def test_kaldis_are_those_of_the_clip_alone(noises: Noises) -> None:
    clips = noises([16_000, 720, 7_777])
    waveforms, lengths = pad(clips)
    steps = (lengths - 400) // 160 + 1
    theirs = SeamlessM4TFeatureExtractor()
    for bands, clip, count in zip(
        kaldi_bands(waveforms, 80, steps), clips, steps.tolist(), strict=True
    ):
        even = count // 2 * 2  # theirs pads an odd number of steps, and masks what it padded
        expected = theirs(clip, sampling_rate=SAMPLING_RATE, return_tensors="pt").input_features
        pairs = bands[:even].reshape(even // 2, 160)
        torch.testing.assert_close(pairs, expected[0, : even // 2], rtol=0, atol=1e-4)
