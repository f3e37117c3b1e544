"""Weights between modalities are fitted on clips that no head learnt from; it can be resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.architecture.fusions.predictions import PredictionFusion
from emi_model.architecture.model import EmiModel
from emi_model.errors import TrainingError
from emi_model.training.fit import FitResult, fit
from emi_model.training.group import SingleProcess
from emi_model.training.out_of_fold.folds import folds_of
from emi_model.training.out_of_fold.held_out import fit_weights, predicted_apart
from emi_model.training.recipes import recipe_named
from emi_model.training.state import FolderJournal
from emi_model.training.trainer import EpochReport
from tests.emi_model.training.made_modalities import FACTS, made_clips, made_config

SETTINGS = replace(
    recipe_named("debug").train, folds=2, epochs=2, vad_loss_weight=0.0, learning_rate=1e-2
)


def model_of(name: str) -> EmiModel:
    torch.manual_seed(0)
    return EmiModel(made_config({"name": name}))


def trained(
    name: str, on_epoch: Callable[[EpochReport], None] | None = None, **options: Any
) -> tuple[EmiModel, FitResult]:
    model = model_of(name)
    clips = made_clips(16)
    result = fit(
        model, clips, made_clips(6, seed=1), SETTINGS, device="cpu", on_epoch=on_epoch, **options
    )
    return model, result


@pytest.fixture(scope="module")
def late() -> tuple[EmiModel, FitResult]:
    return trained("late")


def shares_of(model: EmiModel) -> np.ndarray[Any, Any]:
    """Return the mean weights (modalities, targets) of new clips that have all modalities."""
    fusion = model.fusion
    assert isinstance(fusion, PredictionFusion)
    clips = [clip for clip in made_clips(16, seed=3) if len(clip.inputs) == 3]
    predictions = predicted_apart(model, clips, "cpu", SingleProcess())
    with torch.inference_mode():
        return fusion.weights(predictions).mean(dim=0).numpy()


def test_the_weights_are_those_fitted_by_hand_on_clips_left_out(
    late: tuple[EmiModel, FitResult],
) -> None:
    clips = made_clips(16)
    model = model_of("late")
    first = {name: weight.clone() for name, weight in model.state_dict().items()}
    values, amounts = torch.zeros(16, 3, 2), torch.zeros(16, 3)
    for fold in folds_of(clips, SETTINGS):
        others = [clip for index, clip in enumerate(clips) if index not in fold]
        model.load_state_dict(first)
        # heads learn alike under any fusion of predictions: this one's weights play no part
        one_stage(model, others)
        found = predicted_apart(model, [clips[n] for n in fold], "cpu", SingleProcess())
        values[fold], amounts[fold] = found
    fusion = model.fusion
    assert isinstance(fusion, PredictionFusion)
    fusion.load_state_dict(
        {n.removeprefix("fusion."): w for n, w in first.items() if "fusion" in n}
    )
    labels = torch.from_numpy(np.stack([clip.emi for clip in clips]))
    fit_weights(fusion, type(found)(values, amounts), labels, SETTINGS, None)
    expected = fusion.get_parameter("shared_logits")
    kept = late[0].get_parameter("fusion.shared_logits")
    torch.testing.assert_close(kept, expected, rtol=0, atol=1e-6)
    assert float(kept.detach().abs().max()) > 0.1


def one_stage(model: EmiModel, clips: Any) -> None:
    """Train the heads alone, by the trainer itself."""
    from emi_model.training.trainer import Trainer

    settings = replace(SETTINGS, keep="last")
    trainer = Trainer(model, clips, (), settings, "cpu", SingleProcess())
    for _ in range(settings.epochs):
        trainer.run_epoch()
    model.load_state_dict(trainer.smoothed.state_dict())
    model.eval()


@pytest.mark.parametrize("name", ["late", "gated"])
def test_what_only_memorises_gets_little_weight(name: str) -> None:
    clips = made_clips(24)
    model = model_of(name)
    settings = replace(SETTINGS, epochs=12, loss="mse", keep="last")
    fit(model, clips, (), settings, device="cpu")
    shares = dict(zip(("audio", FACTS, "path"), shares_of(model).mean(axis=1), strict=True))
    assert shares[FACTS] > 0.6, shares
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)


class Stop(Exception):
    """The training is stopped."""


class StoppingJournal(FolderJournal):
    """A folder that stops the training after some states."""

    def __init__(self, folder: Path, keeps: int) -> None:
        super().__init__(folder)
        self.left = keeps
        self.epochs: list[int] = []

    def keep(self, epoch: int, write: Callable[[Path], None]) -> None:
        super().keep(epoch, write)
        self.epochs.append(epoch)
        self.left -= 1
        if not self.left:
            raise Stop


def test_a_stopped_training_goes_on_in_its_fold_to_the_very_same_end(
    late: tuple[EmiModel, FitResult], tmp_path: Path
) -> None:
    model, expected = late
    epochs, folds = [], list[EpochReport]()
    for keeps in (1, 2, 2):  # in the first fold, at the end of the second, in the last stage
        journal = StoppingJournal(tmp_path, keeps)
        with pytest.raises(Stop):
            trained("late", journal=journal, on_fold=folds.append)
        epochs += journal.epochs
    again, found = trained("late", journal=FolderJournal(tmp_path))
    assert epochs == [1, 2, 3, 4, 5]
    # the first epoch of each was kept, but the stop came before its report
    assert [(report.fold, report.epoch) for report in folds] == [("1 of 2", 2), ("2 of 2", 2)]
    for name, weight in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name
    plain = [[replace(r, seconds=0.0) for r in result.history] for result in (found, expected)]
    assert plain[0] == plain[1]
    assert len(found.history) == SETTINGS.epochs
    seen: list[EpochReport] = []
    done, _ = trained("late", seen.append, journal=FolderJournal(tmp_path))
    assert seen == []
    assert torch.equal(
        done.get_parameter("fusion.shared_logits"), again.get_parameter("fusion.shared_logits")
    )
    with pytest.raises(TrainingError, match="other clips, labels or settings"):
        fit(
            model_of("late"),
            made_clips(9),
            (),
            replace(SETTINGS, keep="last"),
            device="cpu",
            journal=FolderJournal(tmp_path),
        )
