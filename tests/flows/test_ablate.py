"""An ablation as a plain function: what it trains, what it keeps, where its report goes."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from emi_model.errors import ConfigError
from emi_model.training.trainer import EpochReport
from flows import ablate as ablating
from flows import grid
from tasks.ablation.run import missing_runs, record
from tasks.comparison.cell import CellRun
from tasks.progress import Observer, observed_by
from tests.tasks.ablation.ablations import outcome
from tests.tasks.labels.labelled_corpus import labelled_store

FAILS = CellRun("without LSTM", 1)


class Progress(Observer):
    """Keeps the stages, and the units that are done in the last one."""

    def __init__(self):
        self.stages, self.done = [], 0

    def begin(self, stage, total, unit):
        self.stages.append((stage, total, unit))
        self.done = 0

    def advance(self, num_done, note=""):
        self.done += num_done


def without_ray_and_server(monkeypatch, flow):
    """Let the module of a flow gather and train in this process."""
    monkeypatch.setattr(grid, "ray_cluster", lambda *_: nullcontext())
    monkeypatch.setattr(grid, "train_cells", grid.train_cells.fn)
    monkeypatch.setattr(flow, "gather_clips", grid.gather_clips.fn)


@pytest.fixture
def cells(monkeypatch):
    """The cells that were trained: instead of Ray's workers, an outcome of each is recorded."""
    trained = []

    def run_ablation(ablation, store, *, on_epoch):
        for run in missing_runs(ablation, store):
            if run == FAILS and run not in trained:
                trained.append(run)
                continue
            on_epoch(run, EpochReport(1, 3, 0.5, 1e-3, None, None, 1.0))
            on_epoch(run, EpochReport(3, 3, 0.25, 1e-3, None, 0.5, 2.0))
            record(store, ablation, run, outcome())
            trained.append(run)
        return {FAILS: "the loss is nan"} if trained[-1] != FAILS else {}

    monkeypatch.setattr(ablating, "run_ablation", run_ablation)
    without_ray_and_server(monkeypatch, ablating)
    return trained


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    corpus, store = labelled_store(tmp_path, ["train"] * 3 + ["valid"] * 2)
    return str(store), str(corpus)


def test_cells_are_trained_once_and_a_failed_one_again(cells, site, tmp_path):
    progress = Progress()
    with observed_by(progress):
        found = ablating.ablate.fn(*site, recipe="debug", seeds=1)
    assert (found["num_trained"], found["num_known"]) == (4, 0)
    assert found["failed"] == {FAILS: "the loss is nan"}
    assert progress.stages[-2:] == [("starting workers", None, ""), ("training", 15, "epochs")]
    assert progress.done == 12
    folder = Path(found["folder"])
    assert folder.parent == Path(site[0]) / "reports"
    assert "the loss is nan" in "\n".join(found["report"].notes())
    assert "Ablation of recipe `debug`" in next(folder.glob("*.md")).read_text()

    with observed_by(progress):
        again = ablating.ablate.fn(*site, recipe="debug", seeds=1, out=str(tmp_path / "report"))
    assert (again["num_trained"], again["num_known"], again["failed"]) == (1, 4, {})
    assert progress.done == 15
    assert cells.count(FAILS) == 2
    assert len(list((tmp_path / "report").iterdir())) == 3


def test_features_of_other_programs_are_a_part_that_is_left_out(cells, site):
    pulse = Path(site[1]) / "pulse.csv"
    pulse.write_text("clip_id,level\n" + "".join(f"00{place}.wav,{place}\n" for place in range(5)))
    found = ablating.ablate.fn(*site, recipe="debug", seeds=1, features=[f"pulse={pulse}"])
    assert found["num_trained"] == 5
    assert CellRun("without pulse", 1) in cells
    branches = found["report"].ablation.recipe.model.branches
    assert branches["pulse"]["num_values"] == 1
    with pytest.raises(ConfigError, match="expected NAME=PATH"):
        ablating.ablate.fn(*site, recipe="debug", features=["pulse"])


def test_an_unknown_recipe_makes_no_store(site, tmp_path):
    with pytest.raises(ConfigError, match="cake"):
        ablating.ablate.fn(*site, recipe="cake", results=str(tmp_path / "results"))
    assert not (tmp_path / "results").exists()
