"""A clip's vector is what its scores are made from."""

import numpy as np
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.embed import Embedder
from emi_model.errors import AudioError
from emi_model.predict import Predictor
from tests.tiny import BACKBONE


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return EmiModel(EmiConfig(backbone=BACKBONE, clip_seconds=0.25)).eval()


def noise(num_samples):
    return np.random.default_rng(0).normal(0, 0.1, num_samples).astype(np.float32)


def test_the_vector_is_the_predictors(model):
    embedder = Embedder(model, "cpu")
    found = embedder(noise(4_000))
    (scores,) = Predictor(model, precision="fp32", device="cpu")([noise(4_000)])
    assert found.frames.shape == (scores.num_frames, embedder.size) == (12, 32 + 3)
    assert np.allclose(found.vector, scores.global_vector, atol=1e-5)
    assert np.allclose(found.frames[:, -3:], scores.frame_vad, atol=1e-5)


def test_padding_that_the_authors_backbone_hears_is_no_frame():
    torch.manual_seed(0)
    branches = {"audio": {"longest_samples": 16_000}}
    padding = EmiModel(EmiConfig(backbone=BACKBONE, branches=branches)).eval()
    found = Embedder(padding, "cpu")(noise(12_000))
    (scores,) = Predictor(padding, precision="fp32", device="cpu")([noise(12_000)])
    assert len(found.frames) == scores.num_frames
    assert np.allclose(found.vector, scores.global_vector, atol=1e-5)


def test_a_long_clip_is_cut_as_for_its_scores(model):
    embedder = Embedder(model, "cpu")
    long = noise(9_000)
    parts = [
        embedder(long[start:end]).frames
        for start, end in ((0, 4_000), (4_000, 8_000), (8_000, 9_000))
    ]
    found = embedder(long)
    assert np.array_equal(found.frames, np.concatenate(parts))
    assert np.allclose(found.vector, found.frames.mean(axis=0), atol=1e-6)


@pytest.fixture(scope="module")
def raw():
    torch.manual_seed(0)
    return EmiModel(EmiConfig(backbone={**BACKBONE, "do_normalize": False})).eval()


@pytest.mark.parametrize("hears", ["model", "raw"])
@pytest.mark.parametrize(
    ("waveform", "words"),
    [
        (
            np.zeros((2, 16_000), np.float32),
            r"shape \(2, 16000\), expected \(samples,\), one channel",
        ),
        (np.zeros((16_000, 2), np.int16), r"shape \(16000, 2\), expected"),
        (np.zeros(16_000, np.int32), "samples of type int32, expected int16, or float"),
        (np.full(16_000, np.nan, np.float32), "found samples that are not finite"),
        (np.zeros(399, np.int16), "clip of 399 samples, expected at least 400"),
    ],
)
def test_what_is_no_waveform_is_refused_in_words(request, hears, waveform, words):
    model = request.getfixturevalue(hears)
    for use in (Embedder(model, "cpu"), lambda clip: Predictor(model, device="cpu")([clip])):
        with pytest.raises(AudioError, match=words):
            use(waveform)
