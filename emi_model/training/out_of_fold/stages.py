"""One training after another under one journal: which is under way, and what those before gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emi_model.architecture.fusions.predictions import Predictions
from emi_model.training.state import Journal, read_state, write_state


@dataclass
class FoldStage:
    """Where a training in stages stands.

    Attributes:
        number: of the stage that is under way, from 0.
        seconds: that the stages before it took.
        predictions: what they predicted for the clips that each left out, in the clips' order.
    """

    number: int
    seconds: float
    predictions: Predictions

    def as_dict(self, whole: str) -> dict[str, Any]:
        """Return it for a state file; ``whole`` is the hash of the training in all its stages."""
        return {
            "fingerprint": whole,
            "number": self.number,
            "seconds": self.seconds,
            "values": self.predictions.values,
            "amounts": self.predictions.amounts,
        }


def first_stage(num_clips: int, num_modalities: int, num_targets: int) -> FoldStage:
    """Return the stage before anything is predicted."""
    values = torch.zeros(num_clips, num_modalities, num_targets)
    return FoldStage(0, 0.0, Predictions(values, torch.zeros(num_clips, num_modalities)))


def kept_stage(path: Path, whole: str) -> FoldStage:
    """Return the stage that a state file is of.

    Raises:
        TrainingError: it is damaged, or of another training.
    """
    found = read_state(path, whole, within="stage")["stage"]
    values: Tensor = found["values"]
    return FoldStage(found["number"], found["seconds"], Predictions(values, found["amounts"]))


class StageJournal:
    """A journal for one stage; its states say which stage they are of."""

    def __init__(self, journal: Journal, stage: FoldStage, whole: str, num_epochs: int) -> None:
        """Take the journal of all stages, and the epochs of each."""
        self._journal = journal
        self._stage = stage
        self._whole = whole
        self._num_epochs = num_epochs

    def last(self) -> Path | None:
        """Return the state that was kept last if it is of this stage; else None."""
        path = self._journal.last()
        if path is None or kept_stage(path, self._whole).number != self._stage.number:
            return None
        return path

    def keep(self, epoch: int, write: Callable[[Path], None]) -> None:
        """Keep the state after an epoch of this stage."""

        def write_all(path: Path) -> None:
            write(path)
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            write_state(path, {**state, "stage": self._stage.as_dict(self._whole)})

        self._journal.keep(self._stage.number * self._num_epochs + epoch, write_all)
