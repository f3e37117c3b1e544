"""Memory that does not suffice: a batch is halved, one clip that does not fit is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.branch import Inputs
from emi_model.architecture.model import EmiModel, EmiOutput
from emi_model.engine.model import RaggedModel
from emi_model.errors import OutOfMemory
from emi_model.predict import Predictor, Scores

TOLERANCE = 1e-5
NOT_FOR_THE_ENGINE = {"model_type": "hubert", "vocab_size": 32}


class CrampedModel(EmiModel):
    """A model on a device that holds ``most_samples`` at once, padding included."""

    most_samples = 10_000
    error: Exception | None = None

    def forward(self, inputs: Inputs, **how: Any) -> EmiOutput:
        waveforms = inputs["audio"].values
        if waveforms.numel() > self.most_samples:
            self.run_out()
        return super().forward(inputs, **how)

    def run_out(self) -> None:
        if self.error is not None:
            raise self.error
        torch.empty(2**55)  # the real error of the real allocator


class CrampedEngine(RaggedModel):
    """The engine in as little memory."""

    def __call__(self, waveforms: Sequence[Any]) -> EmiOutput:
        if sum(map(len, waveforms)) > CrampedModel.most_samples:
            torch.empty(2**55)
        return super().__call__(waveforms)


class CrampedGpuModel(CrampedModel):
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB\nmore")


class CrampedLibraryModel(CrampedModel):
    error = RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`: no memory")


class SilentlyCrampedModel(CrampedModel):
    error = MemoryError()  # as numpy and Python may


@pytest.fixture(params=[CrampedModel, *CrampedModel.__subclasses__(), CrampedEngine])
def cramped(
    request: pytest.FixtureRequest, tiny_model: Callable[..., EmiModel]
) -> tuple[EmiModel, Predictor]:
    """Return a roomy model and a predictor with the same weights in little memory."""
    if request.param is CrampedEngine:
        roomy = tiny_model()
        predictor = Predictor(roomy, device="cpu", precision="fp32")
        predictor._engine = CrampedEngine(roomy, torch.float32)
        return roomy, predictor
    roomy = tiny_model(backbone=NOT_FOR_THE_ENGINE)
    model = request.param(roomy.config)
    model.load_state_dict(roomy.state_dict())
    return roomy, Predictor(model, device="cpu", precision="fp32")


def test_a_batch_that_does_not_fit_is_halved(
    cramped: tuple[EmiModel, Predictor],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
) -> None:
    roomy, predictor = cramped
    waveforms = noises([3_000, 2_900, 3_100, 2_950, 3_050, 400, 410])
    expected = Predictor(roomy, device="cpu", precision="fp32")(waveforms)
    for found, wanted in zip(predictor(waveforms), expected, strict=True):
        assert largest_difference(scores_of(found), scores_of(wanted)) <= TOLERANCE


def test_one_clip_that_does_not_fit_leaves_its_neighbours_their_scores(
    cramped: tuple[EmiModel, Predictor],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
) -> None:
    roomy, predictor = cramped
    waveforms = noises([9_500, 10_001, 800, 9_990])  # three of them share a batch at first
    first, too_long, *others = predictor(waveforms)
    assert isinstance(too_long, OutOfMemory)
    assert "memory" in str(too_long)
    assert "\n" not in str(too_long)
    expected = Predictor(roomy, device="cpu", precision="fp32")(
        [waveforms[index] for index in (0, 2, 3)]
    )
    for found, wanted in zip([first, *others], expected, strict=True):
        assert largest_difference(scores_of(found), scores_of(wanted)) <= TOLERANCE


@pytest.mark.parametrize("fusion", [None, {"name": "concat"}])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_that_the_engine_has_copied_are_freed(
    tiny_model: Callable[..., EmiModel],
    noises: Callable[..., list[np.ndarray]],
    scores_of: Callable[..., dict[str, np.ndarray]],
    largest_difference: Callable[..., float],
    precision: Any,
    fusion: dict[str, str] | None,
) -> None:
    predictor = Predictor(tiny_model(fusion=fusion), device="cpu", precision=precision)
    clips = noises([16_000, 4_000, 9_000])
    before = predictor(clips)
    predictor.release_weights()
    assert all(weight.is_meta for weight in predictor.model.audio.backbone.parameters())
    for found, expected in zip(predictor(clips), before, strict=True):
        assert largest_difference(scores_of(found), scores_of(expected)) <= TOLERANCE


def test_clips_without_audio_are_scored_once_weights_are_freed(
    tiny_model: Callable[..., EmiModel],
) -> None:
    pulse = {"kind": "series", "num_values": 2, "rate": 5.0, "optional": True}
    model = tiny_model(branches={"audio": {"optional": True}, "pulse": pulse})
    predictor = Predictor(model, device="cpu", precision="fp32")
    clips = [{"pulse": np.linspace(-1, 1, 2 * length).reshape(-1, 2)} for length in (20, 30)]
    before = predictor(clips)
    predictor.release_weights()
    for found, expected in zip(predictor(clips), before, strict=True):
        assert isinstance(found, Scores)
        assert isinstance(expected, Scores)
        assert found.num_frames == 0
        assert np.array_equal(np.asarray(found.emi), np.asarray(expected.emi))


def test_weights_of_a_model_without_an_engine_stay(
    tiny_model: Callable[..., EmiModel], noises: Callable[..., list[np.ndarray]]
) -> None:
    predictor = Predictor(tiny_model(backbone=NOT_FOR_THE_ENGINE), device="cpu", precision="fp32")
    predictor.release_weights()
    (scores,) = predictor(noises([16_000]))
    assert np.isfinite(scores.global_vector).all()
