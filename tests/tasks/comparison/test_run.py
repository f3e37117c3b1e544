from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emi_model.errors import StoreError
from tasks.comparison.cell import CellClips, CellRun, lacks_all, train_cell, train_cell_task
from tasks.comparison.encode import encoding_jobs
from tasks.comparison.memory import forget_peak, peak_bytes
from tasks.comparison.run import missing_trainings, record_training, recorded_trainings
from tasks.labels.labelled_clips import LabelledAudio
from tasks.store.query import answer
from tasks.store.store import ResultsStore
from tests.no_room import TooLarge, full_disk
from tests.tasks.ablation.ablations import gathered_at
from tests.tasks.comparison.comparisons import compared, predicted


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> LabelledAudio:
    return gathered_at(tmp_path_factory.mktemp("labelled"), ["train"] * 6 + ["valid"] * 3)


def test_what_is_recorded_is_not_done_again(gathered: LabelledAudio, store: ResultsStore) -> None:
    comparison = compared(gathered, num_seeds=2)
    assert missing_trainings(comparison, store) == list(comparison.runs)
    done = comparison.runs[2]
    outcome = predicted(comparison, 0.1)
    record_training(store, comparison, done, outcome)
    assert missing_trainings(comparison, store) == [run for run in comparison.runs if run != done]
    more = compared(gathered, ("concat", "paper", "late"), num_seeds=3)
    assert len(missing_trainings(more, store)) == 8
    (run,) = found = recorded_trainings(more, store)
    assert run == done
    assert outcome.measured is not None
    assert found[run].predictions == pytest.approx(outcome.measured.predictions)
    assert (found[run].facts["num_parameters"], found[run].facts["memory_mib"]) == (1234, 1.0)
    assert missing_trainings(compared(gathered, shuffled=True), store) != []
    with pytest.raises(StoreError, match="is never changed"):
        record_training(store, comparison, done, outcome)
    rows = answer(store.location, "SELECT DISTINCT fusion, seed FROM compared_clips").to_pylist()
    assert rows == [{"fusion": "paper", "seed": 2}]


def test_a_cell_is_trained_and_predicts_clips_that_chose_nothing(
    gathered: LabelledAudio, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    comparison = compared(gathered, settings={"epochs": 2})
    job = replace(comparison.job(comparison.runs[1]), journal=tmp_path / "journal")
    epochs: list[int] = []
    train, choose, measured = comparison.clips
    found = train_cell(job, train, choose, lambda report: epochs.append(report.epoch), measured)
    assert epochs == [1, 2]
    assert found.measured is not None
    assert found.measured.predictions.shape == (3, 2)
    assert found.measured.num_filled == 0
    assert (found.measured.clips_per_second or 0) > 0
    assert found.memory_bytes > 2**20
    assert found.figures.keys() == {"Noise", "Tone"}


def test_a_cell_that_cannot_be_built_says_why(gathered: LabelledAudio) -> None:
    comparison = compared(gathered, ("text_anchored",))
    job = comparison.job(comparison.runs[0])
    found = train_cell_task(job, comparison.runs[0], comparison.clips, None)
    assert isinstance(found, str)
    assert "expected 'text' among them" in found


def test_a_cell_that_has_no_room_says_what_to_do(gathered: LabelledAudio, tmp_path: Path) -> None:
    comparison = compared(gathered, settings={"epochs": 2})
    run = comparison.runs[1]
    job = replace(comparison.job(run), journal=tmp_path / "journal")
    with full_disk(0):
        found = train_cell_task(job, run, comparison.clips, None)
    assert found == (
        f"{job.journal}: the state cannot be written (File too large): free space on this disk, "
        "the same command goes on"
    )
    large: Any = (TooLarge(MemoryError()),)
    found = train_cell_task(job, run, CellClips(large, comparison.clips.choose), None)
    assert isinstance(found, str)
    assert found.startswith("memory does not suffice for the recipe's batch_size of ")


def test_clips_without_any_of_a_cells_modalities_get_the_mean_label(
    gathered: LabelledAudio, tmp_path: Path
) -> None:
    comparison = compared(gathered, settings={"epochs": 2, "audio.optional": "true"})
    job = replace(comparison.job(comparison.runs[0]), journal=tmp_path / "journal")
    train, choose, measured = comparison.clips
    assert measured is not None
    silent = replace(gathered.of_split("valid")[0], cache=tmp_path / "cache", content_sha256="ab")
    folder = tmp_path / "cache" / silent.folders["audio"] / "ab"
    folder.mkdir(parents=True)
    (folder / "ab.absent").touch()
    assert [lacks_all(clip) for clip in (silent, measured[0])] == [True, False]
    found = train_cell(job, [*train, silent], choose, lambda _: None, [measured[0], silent])
    assert found.measured is not None
    assert found.measured.num_filled == 1
    means = np.mean([clip.emi for clip in train], axis=0)
    assert found.measured.predictions[1] == pytest.approx(means, abs=1e-6)


def test_each_frozen_encoder_encodes_once(gathered: LabelledAudio) -> None:
    frozen = {"encoder": {"model_type": "small_conv"}, "trained": False, "optional": True}
    comparison = compared(gathered, num_seeds=2)
    jobs = [comparison.job(run) for run in comparison.runs]
    assert encoding_jobs(jobs) == []
    seeing = []
    for job in jobs:
        model = replace(job.recipe.model, branches={"audio": {}, "vision": frozen})
        seeing.append(replace(job, recipe=replace(job.recipe, model=model)))
    (found,) = encoding_jobs(seeing)
    assert list(found.recipe.model.branches) == ["vision"]
    assert found.needs == {"vision": False}


def test_the_peak_of_an_earlier_training_is_forgotten() -> None:
    forget_peak()
    before = peak_bytes()
    large = np.ones(64 * 2**20 // 8)
    with_it = peak_bytes()
    del large
    forget_peak()
    assert with_it >= before + 32 * 2**20
    assert peak_bytes() < with_it


def test_runs_are_named_for_files() -> None:
    from tasks.comparison.workers import journal_of

    assert journal_of(Path("/x"), CellRun("a b/c", 3)) == Path("/x/a-b-c-3")
