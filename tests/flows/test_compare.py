"""A comparison as a plain function: what it trains, what it keeps, where its report goes."""

from pathlib import Path

import pytest

from emi_model.errors import ConfigError
from emi_model.training.trainer import EpochReport
from flows import compare as comparing
from tasks.comparison.run import missing_trainings, record_training
from tasks.progress import observed_by
from tasks.store.query import answer
from tests.flows.test_ablate import Progress, without_ray_and_server
from tests.tasks.comparison.comparisons import predicted
from tests.tasks.labels.labelled_corpus import labelled_store


@pytest.fixture
def trained(monkeypatch):
    """The names of what was trained: instead of Ray's workers, an outcome of each is recorded."""
    names = []

    def run_comparison(comparison, store, *, on_epoch):
        failed = {}
        for run in missing_trainings(comparison, store):
            name = comparison.by_cell[run.cell].name
            names.append(name)
            if name == "text_anchored":
                failed[run] = "found no text"
                continue
            on_epoch(run, EpochReport(3, 3, 0.25, 1e-3, None, 0.5, 2.0))
            record_training(store, comparison, run, predicted(comparison, 0.1))
        return failed

    monkeypatch.setattr(comparing, "run_comparison", run_comparison)
    without_ray_and_server(monkeypatch, comparing)
    return names


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    corpus, store = labelled_store(tmp_path, ["train"] * 6 + ["valid"] * 3)
    return str(store), str(corpus)


def test_systems_are_trained_once_and_what_cannot_be_built_is_a_row(trained, site, tmp_path):
    progress = Progress()
    fusions = ["paper", "text_anchored"]
    with observed_by(progress):
        found = comparing.compare_fusions.fn(*site, ["debug"], fusions=fusions, seeds=1)
    assert (found["num_trained"], found["num_known"]) == (1, 0)
    assert found["failed"] == {("text_anchored", 1): "found no text"}
    assert progress.stages[-1] == ("training", 6, "epochs")
    assert progress.done == 3
    folder = Path(found["folder"])
    assert folder.parent == Path(site[0]) / "reports"
    assert "found no text" in next(folder.glob("*.md")).read_text()

    out = str(tmp_path / "report")
    again = comparing.compare_fusions.fn(*site, ["debug"], fusions=["paper"], seeds=2, out=out)
    assert (again["num_trained"], again["num_known"], again["failed"]) == (1, 1, {})
    assert trained == ["paper", "text_anchored", "paper"]
    assert len(list((tmp_path / "report").iterdir())) == 3
    rows = answer(site[0], "SELECT DISTINCT name, num_seeds FROM comparisons").to_pylist()
    assert rows == [{"name": "paper", "num_seeds": 2}]


def test_an_unknown_fusion_makes_no_store(site, tmp_path):
    results = str(tmp_path / "results")
    with pytest.raises(ConfigError, match="cake"):
        comparing.compare_fusions.fn(*site, ["debug"], fusions=["cake"], results=results)
    assert not (tmp_path / "results").exists()
