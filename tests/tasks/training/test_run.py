"""Who may run a training, and how often its workers may die."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emi_model.errors import TrainingError
from emi_model.training.recipes import recipe_named
from tasks.training import run
from tasks.training.here import last_kept, train_in_child
from tasks.training.job import OWN_CHECKPOINT, TrainingJob, WorkerDied


class Attempts:
    """Attempts at a training, each of which ends with a state, and with a folder or in death."""

    def __init__(self, *ends: tuple[int, Path | None]) -> None:
        self._ends = list(ends)
        self.state = 0

    def wait(self, _on_epoch: object) -> Path:
        self.state, folder = self._ends.pop(0)
        if folder is None:
            raise WorkerDied("killed by signal 9")
        return folder


def test_a_training_is_given_up_where_workers_die_without_a_new_state(tmp_path: Path) -> None:
    several = Attempts((1, None), (1, None), (2, None), (2, None), (3, tmp_path))
    assert run._done(lambda: several, lambda: several.state, None) == tmp_path
    doomed = Attempts((1, None), (1, None), (1, None), (2, tmp_path))
    with pytest.raises(TrainingError, match=r"died 3 times in a row: killed by signal 9: what was"):
        run._done(lambda: doomed, lambda: doomed.state, None)


class KilledOften:
    """Attempts at a training in this process, each killed after an epoch."""

    def __init__(self, job: TrainingJob, storage: Path) -> None:
        self._job, self._storage = job, storage
        self.epochs: list[tuple[str, int]] = []

    def wait(self, _on_epoch: object) -> Path:
        def send(message: tuple[str, Any]) -> None:
            kind, content = message
            if kind == "epoch":
                self.epochs.append((content["fold"], content["epoch"]))
                raise KeyboardInterrupt

        try:
            train_in_child((self._job, self._storage), send)
        except KeyboardInterrupt:
            raise WorkerDied("killed") from None
        return self._storage / OWN_CHECKPOINT


def test_kills_in_different_folds_do_not_end_a_training(job: TrainingJob, tmp_path: Path) -> None:
    late = recipe_named("debug+late")
    train = replace(late.train, folds=2, epochs=2)
    attempts = KilledOften(replace(job, recipe=replace(late, train=train)), tmp_path)
    folder = run._done(lambda: attempts, lambda: last_kept(tmp_path), None)
    folds = ["1 of 2"] * 2 + ["2 of 2"] * 2 + [""] * 2
    assert attempts.epochs == list(zip(folds, [1, 2] * 3, strict=True))
    assert [report.epoch for report in run._outcome(folder).history] == [1, 2]


def test_one_process_at_a_time_is_at_a_training(tmp_path: Path) -> None:
    with (
        run.alone_at(tmp_path),
        pytest.raises(TrainingError, match="another process is at this"),
        run.alone_at(tmp_path),
    ):
        pass
