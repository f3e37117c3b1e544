from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emi_model.architecture.model import EmiModel
from emi_model.audio.augment import Augmentation
from emi_model.errors import TrainingError
from emi_model.metrics.agreement import TargetMetrics
from emi_model.training.clips import LabelledClip
from emi_model.training.config import TrainConfig
from emi_model.training.fit import fit
from emi_model.training.objective.losses import LOSSES
from emi_model.training.optimiser import Optimiser, rate_factor
from emi_model.training.trainer import EpochReport
from emi_model.training.validate import evaluate_clips, predict_clips
from tests.emi_model.training.noisy_clips import noisy_clips

Build = Callable[..., EmiModel]

CALM = {
    "layerdrop": 0.0,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "final_dropout": 0.0,
    "apply_spec_augment": False,
}
"""Backbone without anything random in training."""

QUICK = TrainConfig(
    epochs=2, batch_size=4, learning_rate=1e-3, warmup_epochs=0.5, clip_norm=1.0, keep="last"
)


def small(tiny_model: Build, seed: int = 0, **fields: Any) -> EmiModel:
    return tiny_model(seed, backbone=CALM, **{"targets": ("Noise", "Tone"), **fields})


def weights_of(model: EmiModel) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_it_learns_and_reports_every_epoch(tiny_model: Build) -> None:
    clips = noisy_clips(16)
    recipe = replace(QUICK, epochs=10, loss="mse+pearson", vad_loss_weight=1.0)
    model = small(tiny_model)
    before = evaluate_clips(model, clips)
    seen: list[EpochReport] = []
    result = fit(model, clips, [], recipe, on_epoch=seen.append)
    after = evaluate_clips(model, clips)
    assert tuple(seen) == result.history
    assert [report.epoch for report in seen] == list(range(1, 11))
    assert seen[-1].train_loss < 0.5 * seen[0].train_loss
    assert seen[-1].learning_rate == pytest.approx(0.0, abs=1e-9)
    assert after["Noise"].mse < before["Noise"].mse
    assert (after["Noise"].pearson or 0.0) > 0.8
    assert result.epoch == 10
    assert not model.training


def test_one_seed_gives_one_model(tiny_model: Build) -> None:
    # with everything random switched on: order, crops, augmentation, dropout, masks
    recipe = replace(
        QUICK,
        crop_seconds=0.3,
        augmentation=Augmentation(speed=(0.9, 1.1), noise_decibels=(10.0, 30.0)),
    )

    def trained(seed: int) -> torch.Tensor:
        model = tiny_model(targets=("Noise", "Tone"))
        fit(model, noisy_clips(6), [], replace(recipe, seed=seed))
        return weights_of(model)

    first = trained(1)
    assert torch.equal(first, trained(1))
    assert not torch.equal(first, trained(2))


def test_the_best_epoch_is_kept(tiny_model: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = iter([0.1, None, 0.7, 0.3])
    seen: list[torch.Tensor] = []

    def watch(model: EmiModel, *_: Any, **__: Any) -> dict[str, TargetMetrics]:
        seen.append(weights_of(model))
        return {"Noise": TargetMetrics(next(scripted), None, 0.0)}

    monkeypatch.setattr("emi_model.training.fit.evaluate_clips", watch)
    model = small(tiny_model)
    clips = noisy_clips(4)
    result = fit(model, clips, clips, replace(QUICK, epochs=4, keep="best"))
    assert result.epoch == 3
    assert result.history[2].valid_pearson == 0.7
    assert result.history[1].valid_pearson is None
    assert torch.equal(weights_of(model), seen[2])


def test_the_last_epoch_is_kept_where_validation_says_nothing(tiny_model: Build) -> None:
    clips = [replace(clip, emi=np.zeros(2, np.float32)) for clip in noisy_clips(4)]
    result = fit(small(tiny_model), clips, clips, replace(QUICK, keep="best"))
    assert result.epoch == 2
    assert result.history[0].valid is not None
    assert result.history[0].valid_pearson is None


def test_validation_clips_do_not_touch_the_last_weights(tiny_model: Build) -> None:
    first, second = small(tiny_model), small(tiny_model)
    fit(first, noisy_clips(6), [], QUICK)
    fit(second, noisy_clips(6), noisy_clips(4, seed=9), QUICK)
    assert torch.equal(weights_of(first), weights_of(second))


def test_averaged_weights_lag_behind(tiny_model: Build) -> None:
    start = weights_of(small(tiny_model))
    plain, averaged = small(tiny_model), small(tiny_model)
    fit(plain, noisy_clips(6), [], QUICK)
    fit(averaged, noisy_clips(6), [], replace(QUICK, ema_decay=0.9))
    way = (weights_of(plain) - start).norm()
    assert 0 < (weights_of(averaged) - start).norm() < 0.7 * way


def test_vad_is_learnt_where_it_is_rated(tiny_model: Build) -> None:
    recipe = replace(QUICK, vad_loss_weight=1.0)
    half = [replace(clip, vad=None) if i % 2 else clip for i, clip in enumerate(noisy_clips(6))]
    by_vad: list[torch.Tensor] = []
    for clips in (noisy_clips(6, vad=False), half, noisy_clips(6)):
        model = small(tiny_model)
        fit(model, clips, [], recipe)
        by_vad.append(weights_of(model))
    assert not torch.equal(by_vad[0], by_vad[1])
    assert not torch.equal(by_vad[1], by_vad[2])


@pytest.mark.parametrize("loss", ["mse+ccc", "mse+pearson"])
def test_clips_that_are_labelled_in_part_teach_what_they_have(tiny_model: Build, loss: str) -> None:
    clips = noisy_clips(6)
    gaps = [replace(clip, emi=clip.emi.copy(), vad=clip.vad) for clip in clips]
    for clip in gaps[:3]:
        clip.emi[1] = np.nan
    models = [small(tiny_model) for _ in range(2)]
    for model, some in zip(models, (clips, gaps), strict=True):
        report = fit(model, some, some, replace(QUICK, loss=loss, mixup=0.5)).history[-1]
        assert np.isfinite(report.train_loss)
        assert report.valid is not None
    assert not torch.equal(*map(weights_of, models))


def test_modality_dropout_needs_an_optional_modality(tiny_model: Build) -> None:
    clips, config = noisy_clips(4), replace(QUICK, modality_dropout=0.1)
    with pytest.raises(TrainingError, match="needs every modality of each clip"):
        fit(small(tiny_model), clips, clips, config)


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize(
    "odd",
    [
        {"emi": np.array([np.inf, 0.5], np.float32)},
        {"vad": np.array([np.inf, 0.5, 0.5], np.float32)},
    ],
)
def test_a_label_that_is_not_finite_is_named_and_teaches_nothing(
    tiny_model: Build, loss: str, odd: dict[str, Any]
) -> None:
    clips = noisy_clips(4)
    clips[2] = replace(clips[2], **odd)
    model = small(tiny_model, output="sigmoid" if loss == "binomial" else "linear")
    before = weights_of(model)
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) in epoch 1, on 2\.mp4: "):
        fit(model, clips, [], replace(QUICK, loss=loss, vad_loss_weight=1.0))
    assert torch.equal(weights_of(model), before)


def test_an_output_that_is_not_finite_is_named_and_teaches_nothing(tiny_model: Build) -> None:
    model = small(tiny_model)
    clips = noisy_clips(4)
    click = np.zeros(16_000, np.int16)
    click[8000] = 30_000  # normalised by its own variance, it stands out a hundredfold
    clips[1] = replace(clips[1], inputs={"audio": click})
    with torch.no_grad():
        kernels = next(model.audio.backbone.wav2vec2.feature_extractor.parameters())
        kernels.zero_()
        kernels[0] = 4e17  # the variance of the click's frames, and of no others, overflows
    before = weights_of(model)
    with pytest.raises(TrainingError, match=r"the loss is nan in epoch 1, on 1\.mp4: "):
        fit(model, clips, [], QUICK)
    assert torch.equal(weights_of(model), before)


def test_all_clips_are_named_where_each_is_finite_and_the_loss_is_not(tiny_model: Build) -> None:
    clips = [replace(clip, emi=clip.emi * np.float32(1e30)) for clip in noisy_clips(2)]
    with pytest.raises(TrainingError, match=r"the loss is inf .* on (0\.mp4, 1|1\.mp4, 0)\.mp4: "):
        fit(small(tiny_model), clips, [], QUICK)


def test_weights_that_a_last_step_has_ruined_are_found_by_validation(tiny_model: Build) -> None:
    ruinous = replace(QUICK, epochs=1, learning_rate=1e30, warmup_epochs=0.0)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        fit(small(tiny_model), noisy_clips(4), noisy_clips(2, seed=1), ruinous)


def test_frozen_convolutions_stay_and_all_else_learns(tiny_model: Build) -> None:
    model = small(tiny_model)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}

    def changed() -> set[str]:
        after = model.state_dict()
        parts = [name.split(".") for name in before if not torch.equal(after[name], before[name])]
        return {part[2] if part[0] == "backbone" else part[0] for part in parts}

    frozen = replace(QUICK, vad_loss_weight=1.0, freeze_conv=True)
    fit(model, noisy_clips(6), [], frozen)
    assert changed() == {"feature_projection", "encoder", "vad_head", "fusion"}
    convolutions = model.audio.backbone.wav2vec2.feature_extractor.train()
    assert not convolutions(torch.randn(1, 400)).requires_grad  # it costs no backward pass
    fit(model, noisy_clips(6), [], replace(frozen, freeze_conv=False))
    assert "feature_extractor" in changed()


@pytest.mark.parametrize(
    ("fields", "num_train", "changes", "message"),
    [
        ({}, 0, {}, "no training clip"),
        ({}, 2, {"keep": "best"}, "no validation clip"),
        ({"targets": ()}, 2, {}, "no targets"),
        ({"vad_head": False}, 2, {"vad_loss_weight": 1.0}, "no VAD head"),
        ({}, 2, {"loss": "binomial"}, "output is 'linear': take the variant `\\+binomial`"),
        ({"targets": ("A", "B", "C")}, 2, {}, r"0\.mp4.*expected 3"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    tiny_model: Build,
    fields: dict[str, Any],
    num_train: int,
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(TrainingError, match=message):
        fit(small(tiny_model, **fields), noisy_clips(num_train), [], replace(QUICK, **changes))


def test_predictions_are_clipped_and_those_of_the_first_window(tiny_model: Build) -> None:
    model = small(tiny_model, clip_seconds=0.25)
    clips = noisy_clips(3)
    predictions = predict_clips(model, clips)
    cut = [replace(clip, inputs={"audio": clip.inputs["audio"][:4000]}) for clip in clips]
    assert predictions.shape == (3, 2)
    assert ((predictions >= 0) & (predictions <= 1)).all()
    assert np.array_equal(predictions, predict_clips(model, cut))


def test_a_clip_under_one_frame_is_refused(tiny_model: Build) -> None:
    clip = LabelledClip("blink.mp4", {"audio": np.ones(399, np.int16)}, np.zeros(2, np.float32))
    with pytest.raises(TrainingError, match=r"blink\.mp4 gives 399 samples, expected 400"):
        fit(small(tiny_model), [clip], [], QUICK)


def test_the_rate_rises_and_falls() -> None:
    recipe = replace(QUICK, epochs=3, warmup_epochs=1.0)
    factors = [rate_factor(step, 4, recipe) for step in range(13)]
    assert factors[:5] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert factors[8] == pytest.approx(0.5)
    assert factors[12] == pytest.approx(0.0)
    assert rate_factor(0, 4, replace(recipe, warmup_epochs=0.0)) == 1.0


@given(st.integers(1, 5), st.integers(1, 9), st.floats(0.0, 1.0, exclude_max=True))
def test_the_rate_reaches_its_top_once_and_ends_at_nothing(
    epochs: int, steps_per_epoch: int, share: float
) -> None:
    recipe = replace(QUICK, epochs=epochs, warmup_epochs=share * epochs)
    steps = epochs * steps_per_epoch
    factors = [rate_factor(step, steps_per_epoch, recipe) for step in range(steps + 1)]
    top = factors.index(1.0)
    assert top < steps
    assert factors[:top] == sorted(factors[:top])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert factors[-1] == pytest.approx(0.0, abs=1e-9)
    assert min(factors) >= 0.0


@pytest.mark.parametrize(("field", "largest"), [("clip_value", 0.5), ("clip_norm", 0.1)])
def test_gradients_are_bounded(tiny_model: Build, field: str, largest: float) -> None:
    model = small(tiny_model)
    recipe = replace(QUICK, **{"clip_norm": None, field: largest})  # type: ignore[arg-type]
    loss = 1e3 * sum(weight.square().sum() for weight in model.parameters())
    assert isinstance(loss, torch.Tensor)
    Optimiser(model, recipe, 1).step(loss)
    gradients = torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None])
    measured = gradients.abs().max() if field == "clip_value" else gradients.norm()
    assert measured.item() == pytest.approx(largest, rel=1e-3)
