from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from emi_model.architecture.model import EmiModel
from emi_model.engine.model import RaggedModel
from emi_model.errors import AudioError, OutOfMemory, TrainingError
from emi_model.metrics import agreement
from emi_model.metrics.agreement import mean_pearson
from emi_model.predict import Predictor
from emi_model.training.clips import LabelledClip
from emi_model.training.validate import evaluate_clips, predict_clips
from tests.emi_model.training.noisy_clips import noisy_clips

Build = Callable[..., EmiModel]

TARGETS = ("Noise", "Tone")


class Shelf:
    """Clips that are taken down one at a time; it knows how many are out at once."""

    def __init__(self, clips: list[LabelledClip]) -> None:
        self.clips = clips
        self.taken: list[int] = []

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> LabelledClip:
        self.taken.append(index)
        return self.clips[index]


def last_layer(model: EmiModel) -> torch.nn.Linear:
    assert model.fusion is not None
    layer = model.fusion.layers[-1]
    assert isinstance(layer, torch.nn.Linear)
    return layer


def within_bounds(model: EmiModel) -> EmiModel:
    """Bring the outputs of fresh weights between 0 and 1."""
    with torch.no_grad():
        last_layer(model).weight.mul_(0.1)
        last_layer(model).bias.fill_(0.5)
    return model


def test_figures_are_those_of_the_predictions(tiny_model: Build) -> None:
    model = within_bounds(tiny_model(targets=TARGETS))
    clips = noisy_clips(6)
    found = evaluate_clips(model, clips, device="cpu")
    predictions = predict_clips(model, clips, device="cpu")
    assert found == agreement.evaluate(predictions, [clip.emi for clip in clips], TARGETS)
    assert mean_pearson(found) is not None


def test_predictions_are_the_predictors_in_the_order_of_the_clips(
    tiny_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = within_bounds(tiny_model(targets=TARGETS))
    clips = noisy_clips(5)
    scores = Predictor(model, precision="fp32", device="cpu")([clip.inputs for clip in clips])
    expected = [getattr(score, "emi", None) for score in scores]
    whole = predict_clips(model, clips, device="cpu")
    monkeypatch.setattr("emi_model.training.validate.CLIPS_AT_ONCE", 2)
    in_pairs = predict_clips(model, clips, device="cpu")
    assert len(np.unique(whole)) == 10
    assert np.array_equal(whole, np.clip(expected, 0.0, 1.0))
    assert whole.dtype == np.float32
    assert in_pairs == pytest.approx(whole, abs=1e-6)


def test_clips_are_read_once_and_only_what_is_heard(tiny_model: Build) -> None:
    shelf = Shelf(noisy_clips(5))
    predict_clips(tiny_model(targets=TARGETS), shelf, device="cpu")  # type: ignore[arg-type]
    assert shelf.taken == [0, 1, 2, 3, 4]


def test_the_model_is_left_as_it_was_but_in_evaluation_mode(tiny_model: Build) -> None:
    model = tiny_model(targets=TARGETS).train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    first = evaluate_clips(model, noisy_clips(3), device="cpu")
    assert not model.training
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert evaluate_clips(model, noisy_clips(3), device="cpu") == first


def test_no_clips_give_no_rows(tiny_model: Build) -> None:
    predictions = predict_clips(tiny_model(targets=TARGETS), [], device="cpu")
    assert predictions.shape == (0, 2)
    assert predictions.dtype == np.float32


def test_a_clip_under_one_frame_is_refused(tiny_model: Build) -> None:
    clips = [replace(clip, inputs={"audio": clip.inputs["audio"][:399]}) for clip in noisy_clips(1)]
    with pytest.raises(AudioError, match="399 samples"):
        predict_clips(tiny_model(targets=TARGETS), clips, device="cpu")


def test_a_clip_that_does_not_fit_is_an_error(
    tiny_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(targets=TARGETS)
    # the real allocator's error
    monkeypatch.setattr(RaggedModel, "__call__", lambda *_: torch.empty(2**55))
    with pytest.raises(OutOfMemory):
        predict_clips(model, noisy_clips(1), device="cpu")


def test_what_is_not_finite_is_named(tiny_model: Build) -> None:
    model = tiny_model(targets=TARGETS)
    clips = noisy_clips(3)
    clips[1] = replace(clips[1], emi=np.array([np.inf, 0.0], np.float32))
    with pytest.raises(TrainingError, match=r"not finite, on 1\.mp4: check the labels"):
        evaluate_clips(model, clips, device="cpu")
    with torch.no_grad():
        last_layer(model).bias.fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"on 0\.mp4, 1\.mp4, 2\.mp4: "):
        evaluate_clips(model, clips, device="cpu")


def test_a_label_that_is_missing_is_left_out(tiny_model: Build) -> None:
    model = tiny_model(targets=TARGETS)
    clips = noisy_clips(4)
    whole = evaluate_clips(model, clips, device="cpu")
    clips[1] = replace(clips[1], emi=np.array([clips[1].emi[0], np.nan], np.float32))
    found = evaluate_clips(model, clips, device="cpu")
    one, other = TARGETS
    assert found[one] == whole[one]
    rest = [clips[0], *clips[2:]]
    assert found[other].mse == pytest.approx(evaluate_clips(model, rest, device="cpu")[other].mse)
