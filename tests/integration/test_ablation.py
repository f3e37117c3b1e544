"""`emi ablate`: whatever ends it, the same command comes to the same table."""

import contextlib
import json
import os
import signal
import time
from dataclasses import replace

import psutil
import pytest

from emi_model.training.recipes import recipe_named
from tasks.ablation.run import recorded_rows, run_ablation
from tasks.cluster.connection import ray_cluster
from tasks.comparison.cell import CellJob, CellRun, train_cell
from tasks.labels.add_labels import add_labels
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import load_labelled_audio
from tasks.schema.registers import MEAN
from tasks.store.store import create_store
from tests.tasks.ablation.ablations import planned, save_wav2vec2
from tests.tasks.labels.labelled_corpus import TARGETS, write_labelled

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

SPLITS = ["train"] * 16 + ["valid"] * 6


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Clips long enough for a grid to be interrupted, with their labels."""
    folder = tmp_path_factory.mktemp("ablation") / "corpus"
    write_labelled(folder, SPLITS, seconds=1.0)
    return folder


@pytest.fixture
def labels(corpus, tmp_path):
    add_labels(tmp_path / "store", corpus / "labels.csv", str(corpus))
    return tmp_path / "store"


def planned_on(labels, corpus, recipe, **options):
    gathered = load_labelled_audio(load_labels(labels), str(corpus), ("train", "valid"))
    return planned(gathered, recipe_named(recipe), **options)


def trained_here(ablation, run, folder):
    """What one cell comes to in this process, without Ray."""
    cell = ablation.cell(run.cell)
    job = CellJob(cell.seeded(run.seed), TARGETS, cell.origin.folder, cell.fresh_head, folder)
    clips = ablation.gathered
    return train_cell(job, clips.of_split("train"), clips.of_split("valid"), lambda _: None)


def test_killed_in_the_middle_it_does_what_is_missing(
    emi, launch, labels, corpus, tmp_path, served, monkeypatch
):
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    home = {"EMI_HOME": str(tmp_path / "home"), **served}
    command = ("ablate", "--labels", labels, "--corpus", corpus, "--recipe", "debug")
    command = (*command, "--seeds", 1)

    def done():
        files = (labels / "ablations").glob("[!.]*-*.parquet")
        return {file.name: file.stat().st_mtime_ns for file in files}

    running = launch(*command, **home)
    while len(done()) < 2:
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    left = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert psutil.wait_procs(left, timeout=20)[1] == []
    before = done()
    assert 2 <= len(before) < 5

    code, out, err = emi(*command, "--json", **home)
    assert code == 0, err
    after = done()
    assert len(after) == 5
    assert before.items() <= after.items()

    ablation = planned_on(labels, corpus, "debug", num_seeds=1)
    rows = recorded_rows(create_store(labels), ablation.ablation_id)
    for run in ablation.runs:
        figures = trained_here(ablation, run, tmp_path / f"{run.cell}-{run.seed}").figures
        found = {r["target"]: r["pearson"] for r in rows if (r["cell"], r["seed"]) == run}
        assert {name: found[name] for name in TARGETS} == {
            name: pytest.approx(figures[name].pearson, abs=1e-6) for name in TARGETS
        }
    shown = [json.loads(line) for line in out.splitlines()]
    means = {row["cell"]: row for row in shown if row["target"] == MEAN}
    assert list(means) == [cell.name for cell in ablation.cells]
    assert {row["num_seeds"] for row in means.values()} == {1}
    (report,) = (labels / "reports").iterdir()
    assert all(f"\n| {cell} |" in (report / "ablation.md").read_text() for cell in means)
    assert list((tmp_path / "home" / "training" / "ablations").glob("*/*/training.pt")) == []


def test_a_cell_that_fails_and_one_that_dies_stop_no_other(labels, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    maskless = save_wav2vec2(tmp_path / "asr", masks=False)
    whole = planned_on(labels, corpus, "debug+spec_augment", num_seeds=1, backbones=[str(maskless)])
    ablation = replace(whole, cells=(whole.cells[-1], *whole.cells[:2]))
    store, killed, at_once = create_store(labels), [], []

    def training():
        for process in psutil.Process(os.getpid()).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "train_cell_task" in process.name():
                    yield process

    def kill_a_worker(run, report):
        found = list(training())
        at_once.append(len(found))
        if found and not killed:
            found[0].kill()
            killed.append((run, report.epoch))

    with ray_cluster(1):
        failed = run_ablation(ablation, store, on_epoch=kill_a_worker)
    assert killed
    assert max(at_once) == 1  # the cluster has one core
    (failure,) = failed
    assert failure == CellRun(ablation.cells[0].name, 1)
    assert "recipe without SpecAugment" in failed[failure]
    rows = recorded_rows(store, ablation.ablation_id)
    assert {row["cell"] for row in rows} == {"full", "without global vector"}
    for run in ablation.runs[1:]:
        figures = trained_here(ablation, run, tmp_path / run.cell).figures
        found = {row["target"]: row["pearson"] for row in rows if row["cell"] == run.cell}
        assert all(found[name] == pytest.approx(figures[name].pearson) for name in TARGETS)
