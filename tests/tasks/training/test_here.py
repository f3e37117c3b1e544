"""A training without Ray: what its child process does, and where its state goes on from."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.errors import ConfigError, TrainingError
from emi_model.training.fit import fit
from emi_model.training.state import read_state, write_state
from emi_model.training.trainer import report_from_dict
from emi_model.training.validate import predict_clips
from tasks.training import here, run
from tasks.training.here import HereJournal, needs_no_ray, train_in_child
from tasks.training.job import (
    OWN_CHECKPOINT,
    TrainingJob,
    drop_cut_record,
    lasting_failures,
    newest,
)
from tests.no_room import TooLarge, full_disk

SNAPSHOT = "checkpoint_manager_snapshot.json"
"""Ray Train's file that says which checkpoint is the last; the content is as Ray 2.60 writes it."""


def sent(job: TrainingJob, storage: Path, *, killed_after: int = 99) -> list[tuple[str, Any]]:
    """Return the messages of a training in this process, killed after an epoch."""
    messages: list[tuple[str, Any]] = []

    def send(message: tuple[str, Any]) -> None:
        messages.append(message)
        if len(messages) == killed_after:
            raise KeyboardInterrupt

    train_in_child((job, storage), send)
    return messages


def losses(messages: list[tuple[str, Any]]) -> list[float]:
    return [report_from_dict(content).train_loss for kind, content in messages if kind == "epoch"]


def test_a_training_that_was_killed_goes_on_to_the_same_numbers(
    job: TrainingJob, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    model = job.first_model()
    whole = fit(model, job.train, job.valid, job.recipe.train, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        sent(job, tmp_path, killed_after=1)
    assert not (tmp_path / OWN_CHECKPOINT / "model").exists()
    messages = sent(job, tmp_path)
    assert losses(messages) == [report.train_loss for report in whole.history[1:]]
    assert messages[-1] == ("done", str(tmp_path / OWN_CHECKPOINT))
    again = sent(job, tmp_path)  # as after a kill between the training and its registration
    assert again == [("done", str(tmp_path / OWN_CHECKPOINT))]
    trained = run._outcome(tmp_path / OWN_CHECKPOINT)
    assert [replace(report, seconds=0) for report in trained.history] == [
        replace(report, seconds=0) for report in whole.history
    ]
    assert trained.predictions is not None
    assert np.array_equal(trained.predictions, predict_clips(model, job.valid))
    assert {path.name for path in (tmp_path / OWN_CHECKPOINT).iterdir()} == {
        *("history.json", "model", "training.pt", "valid_predictions.npy")
    }


def test_what_cannot_be_trained_is_told_in_a_line(job: TrainingJob, tmp_path: Path) -> None:
    messages: list[tuple[str, Any]] = []
    hot = replace(job.recipe, train=replace(job.recipe.train, learning_rate=1e30))
    with pytest.raises(TrainingError):
        train_in_child((replace(job, recipe=hot), tmp_path), messages.append)
    kind, line = messages[-1]
    assert kind == "failed"
    assert ".wav" in line
    with pytest.raises(AttributeError):
        train_in_child((replace(job, train=(None,)), tmp_path / "odd"), messages.append)  # type: ignore[arg-type]
    assert messages[-1] == (
        "died",
        "AttributeError: 'NoneType' object has no attribute 'num_samples'",
    )


SHORTAGES = {
    "CUDA out of memory. Tried to allocate 20.00 GiB": torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 8 GiB\nmore"
    ),
    "can't allocate memory: you tried to allocate 4 bytes": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 4 bytes"
    ),
    "": MemoryError(),  # as Python's own
}


@pytest.mark.parametrize("cause", SHORTAGES)
def test_memory_that_does_not_suffice_ends_a_training_at_once(
    job: TrainingJob, tmp_path: Path, cause: str
) -> None:
    messages: list[tuple[str, Any]] = []
    large = replace(job, train=(TooLarge(SHORTAGES[cause]),))  # type: ignore[arg-type]
    with pytest.raises(TrainingError):
        train_in_child((large, tmp_path), messages.append)
    size = job.recipe.train.batch_size
    assert messages == [
        (
            "failed",
            f"memory does not suffice for the recipe's batch_size of {size}"
            f"{cause and f' ({cause})'}: lower that or crop_seconds, as "
            f"`emi train --set batch_size={size // 2}`",
        )
    ]
    one = replace(job.recipe.train, batch_size=1, crop_seconds=3.0)
    with (
        pytest.raises(TrainingError, match=r"--set crop_seconds=1\.5`$"),
        lasting_failures(one, tmp_path),
    ):
        raise SHORTAGES[cause]


@pytest.mark.parametrize(("most", "what"), [(20_000, "state"), (0, "model")])
def test_a_full_disk_ends_a_training_at_once_and_it_goes_on_later(
    job: TrainingJob, tmp_path: Path, most: int, what: str
) -> None:
    if what == "model":  # all epochs are done, but no model is there yet
        sent(job, tmp_path)
        shutil.rmtree(tmp_path / OWN_CHECKPOINT / "model")
    messages: list[tuple[str, Any]] = []
    with pytest.raises(TrainingError), full_disk(most):
        train_in_child((job, tmp_path), messages.append)
    assert len(messages) == 1
    kind, line = messages[0]
    assert kind == "failed"
    assert line.startswith(f"{tmp_path / OWN_CHECKPOINT}: the {what} cannot be written (")
    assert line.endswith("): free space on this disk, the same command goes on")
    assert sent(job, tmp_path)[-1] == ("done", str(tmp_path / OWN_CHECKPOINT))


def test_only_what_would_happen_again_ends_a_training_at_once(
    job: TrainingJob, tmp_path: Path
) -> None:
    config = job.recipe.train
    with (
        pytest.raises(TrainingError, match=r"odd: the training cannot be written \(No space left"),
        lasting_failures(config, tmp_path / "odd"),
    ):
        raise OSError(28, "No space left on device")
    for other in (OSError(5, "Input/output error"), RuntimeError("CUDA error: unspecified")):
        with pytest.raises(type(other)) as caught, lasting_failures(config, tmp_path):
            raise other
        assert caught.value is other


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's, as it reads its file
def test_the_state_that_was_written_last_is_taken(tmp_path: Path) -> None:
    journal = HereJournal(tmp_path)
    assert journal.last() is None
    journal.keep(1, lambda path: path.write_text("here"))
    here_state = journal.last()
    by_ray = tmp_path / "checkpoint_2026-11-27_10-00-00.000000"
    by_ray.mkdir()
    state = by_ray / "training.pt"
    state.write_text("by Ray")
    assert journal.last() == here_state  # Ray Train was killed before it had this one whole
    kept = {"version": 0, "checkpoint_dir_name": by_ray.name, "metrics": {"epoch": 2}}
    content = {
        "checkpoint_results": [kept],
        "checkpoint_report_indices": [0],
        "latest_checkpoint_result": kept,
        "current_report_index": 1,
        "pending_training_results": [],
        "pending_validation_specs": [],
        **{
            f"{outcome}_checkpoint_dir_names": []
            for outcome in ("validated", "timed_out_validation", "failed_validation")
        },
    }
    (tmp_path / SNAPSHOT).write_text(json.dumps(content))
    os.utime(state, (2**32, 2**32))
    assert journal.last() == state
    assert here_state is not None
    os.utime(here_state, (2**32 + 1, 2**32 + 1))
    assert journal.last() == here_state
    shutil.rmtree(tmp_path / OWN_CHECKPOINT)
    assert journal.last() == state
    assert newest(None, None) is None


def test_a_training_goes_on_whose_record_by_ray_a_full_disk_cut(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        state = tmp_path / f"checkpoint_{epoch}" / "training.pt"
        state.parent.mkdir()
        write_state(state, {"fingerprint": "x", "epoch": epoch})
        if epoch == 3:
            os.truncate(state, 99)
        os.utime(state, (epoch, epoch))
    drop_cut_record(tmp_path)  # there is none: Ray Train starts
    (tmp_path / SNAPSHOT).touch()
    journal = HereJournal(tmp_path)
    assert journal.last() == tmp_path / "checkpoint_2" / "training.pt"  # also without Ray
    drop_cut_record(tmp_path)
    kept = journal.last()
    assert kept is not None
    assert read_state(kept, "x")["epoch"] == 2
    assert [path.name for path in tmp_path.iterdir()] == [OWN_CHECKPOINT]
    (tmp_path / SNAPSHOT).write_text("{}")
    drop_cut_record(tmp_path)
    assert (tmp_path / SNAPSHOT).exists()


def test_ray_trains_for_several_workers_gpus_and_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("EMI_FEW_CLIPS", raising=False)
    assert needs_no_ray(1)
    assert not needs_no_ray(2)
    for gpus, alone in ((1, True), (2, False)):
        with monkeypatch.context() as patch:
            patch.setattr(here, "available_gpus", lambda count=gpus: count)
            assert needs_no_ray(1) is alone
    monkeypatch.setenv("EMI_FEW_CLIPS", "0")
    assert not needs_no_ray(1)
    monkeypatch.setenv("EMI_FEW_CLIPS", "none")
    with pytest.raises(ConfigError, match="EMI_FEW_CLIPS is 'none'"):
        needs_no_ray(1)
    monkeypatch.delenv("EMI_FEW_CLIPS")
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert not needs_no_ray(1)
