"""Which epoch is the best, and what a state of an earlier version says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from emi_model.architecture.model import EmiModel
from emi_model.metrics.agreement import TargetMetrics
from emi_model.training.config import TrainConfig
from emi_model.training.fit import fit
from emi_model.training.group import SingleProcess
from emi_model.training.state import write_state
from emi_model.training.trainer import EpochReport, Trainer
from tests.emi_model.training.noisy_clips import noisy_clips

Build = Callable[..., EmiModel]

TARGETS = ("Noise", "Tone")
BEST = TrainConfig(epochs=3, batch_size=4, learning_rate=1e-3, keep="best")

BOTH_LEARNT = {"Noise": TargetMetrics(0.5, 0.4, 0.1), "Tone": TargetMetrics(0.3, 0.2, 0.1)}
ONE_CONSTANT = {"Noise": TargetMetrics(0.7, 0.6, 0.1), "Tone": TargetMetrics(None, 0.0, 0.1)}
UNLABELLED = {"Noise": TargetMetrics(0.6, 0.5, 0.1), "Tone": TargetMetrics(None, None, 0.1)}


def test_an_epoch_gains_nothing_by_a_constant_target(
    tiny_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = iter([BOTH_LEARNT, ONE_CONSTANT, UNLABELLED])
    monkeypatch.setattr("emi_model.training.fit.evaluate_clips", lambda *_, **__: next(scripted))
    clips = noisy_clips(4)
    result = fit(tiny_model(targets=TARGETS), clips, clips, replace(BEST, epochs=2), device="cpu")
    assert result.epoch == 1
    found = [report.valid_pearson for report in result.history]
    assert found == pytest.approx([0.4, 0.35])
    scripted = iter([ONE_CONSTANT, UNLABELLED])
    result = fit(tiny_model(targets=TARGETS), clips, clips, replace(BEST, epochs=2), device="cpu")
    assert (result.epoch, result.history[1].valid_pearson) == (2, 0.6)


def test_a_state_of_an_earlier_version_goes_on_by_this_rule(
    tiny_model: Build, tmp_path: Path
) -> None:
    clips = noisy_clips(4)

    def trainer() -> Trainer:
        model = tiny_model(targets=TARGETS)
        return Trainer(model, clips, clips, BEST, "cpu", SingleProcess())

    def report(epoch: int, valid: dict[str, TargetMetrics], mean: float) -> EpochReport:
        return EpochReport(epoch, 3, 0.5, 1e-3, valid, mean, 1.0)

    earlier = trainer()
    earlier.record(report(1, ONE_CONSTANT, 0.7))  # the mean over what was defined
    earlier.epoch = 1
    earlier.write(tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    assert (state["best_epoch"], state["history"][0]["valid_pearson"]) == (1, 0.7)
    write_state(tmp_path / "state", {name: state[name] for name in state if name != "inputs"})
    later = trainer()
    later.restore(tmp_path / "state")
    assert later.history[0].valid_pearson == 0.35
    later.record(report(2, BOTH_LEARNT, 0.4))
    assert later.best_epoch == 2
    later.record(report(3, BOTH_LEARNT, 0.4))
    assert later.best_epoch == 2
