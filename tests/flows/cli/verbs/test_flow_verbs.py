"""Verbs that run a flow: what they hand to it, and how they show what it returns."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.metrics.agreement import TargetMetrics
from flows.display.demo import DemoReport
from tasks.ablation.report import AblationReport
from tasks.ablation.run import record, recorded_rows
from tasks.comparison.cell import CellRun
from tasks.comparison.report import ComparisonReport
from tasks.comparison.run import record_training, recorded_trainings
from tasks.progress import observer
from tasks.store.store import create_store
from tests.flows.outcomes import DECISION, RECORD, TRAINING
from tests.tasks.ablation.ablations import DEBUG, gathered_at, outcome, planned
from tests.tasks.comparison.comparisons import compared, predicted
from tests.tiny import BACKBONE

pytestmark = pytest.mark.usefixtures("quiet_verbs")


@pytest.fixture
def flow(monkeypatch):
    """Put a function in a flow's place that returns a result; returns the list of its calls."""

    def put(place, result):
        calls = []

        def stand_in(*arguments, **options):
            calls.append((arguments, options))
            observer().begin("a stage", None, "")
            return result

        monkeypatch.setattr(place, stand_in)
        return calls

    return put


@pytest.fixture
def store(tmp_path):
    return create_store(tmp_path / "store")


def test_train_hands_on_its_options_and_shows_the_version(emi, flow, store):
    calls = flow("flows.train.train_model", TRAINING)
    where = ("--labels", store.location, "--corpus", "/clips")
    code, out, err = emi("train", *where, "--recipe", "debug", "--workers", 2)
    assert (code, out.splitlines()[0]) == (0, "models:/emi/3: 80 clips to train, 40 to validate")
    assert "a stage" in err
    (((labels,), options),) = calls
    assert labels == store.location
    assert (options["corpus"], options["recipe"], options["workers"]) == ("/clips", "debug", 2)
    assert options["name"] == "emi"
    assert json.loads(emi("train", *where, "--json")[1]) == TRAINING


def test_settings_of_a_recipe_become_part_of_its_name(emi, flow, store, tmp_path):
    calls = flow("flows.train.train_model", TRAINING)
    (tmp_path / "my.py").write_text("from emi_model.training.recipes import debug as mine\n")
    options = ("--recipe", f"{tmp_path}/my.py:mine", "--seed", 4, "--epochs", 5)
    options += ("--learning-rate", 0.5, "--set", "loss=mse+ccc", "--set", "ema_decay=none")
    assert emi("train", "--results", store.location, "--corpus", "/clips", *options)[0] == 0
    ((_, handed),) = calls
    named = f"{tmp_path}/my.py:mine+seed=4+epochs=5+learning_rate=0.5+loss=mse_ccc+ema_decay=none"
    assert handed["recipe"] == named


def test_retrain_hands_on_its_options_and_shows_the_decision(emi, flow, store):
    calls = flow("flows.retrain.retrain_model", DECISION)
    where = ("--labels", store.location, "--corpus", "/clips")
    code, out, err = emi("retrain", *where, "--start", "champion", "--margin", "0.5")
    assert code == 0, err
    assert "promoted: better: by far" in out
    options = calls[0][1]
    assert (options["start"], options["margin"], options["level"]) == ("champion", 0.5, 0.95)
    assert (options["recipe"], options["rescore"]) == (None, None)
    assert json.loads(emi("retrain", *where, "--json")[1]) == DECISION


def test_a_run_says_which_server_records_it(emi, flow, store, monkeypatch):
    flow("flows.train.train_model", TRAINING)
    where = ("--labels", store.location, "--corpus", "/clips")
    assert "recorded" not in emi("train", *where)[2]
    monkeypatch.setenv("PREFECT_API_URL", "http://lab:4200/api")
    assert "emi: recorded by the server http://lab:4200/api\n" in emi("train", *where)[2]


@pytest.mark.parametrize(
    ("verb", "place"),
    [
        ("train", "flows.train.train_model"),
        ("retrain", "flows.retrain.retrain_model"),
        ("ablate", "flows.ablate.ablate"),
        ("compare", "flows.compare.compare_fusions"),
    ],
)
def test_without_a_store_no_training_begins(emi, flow, tmp_path, verb, place):
    calls = flow(place, {})
    code, out, err = emi(verb, "--labels", tmp_path / "none", "--corpus", "/clips")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "none" in err
    assert calls == []


def test_process_shows_what_the_run_did(emi, flow, monkeypatch, tmp_path):
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), ModelCard("tiny", config.targets))
    (tmp_path / "a.mp4").write_bytes(b"a")
    started = []
    calls = flow("flows.process.process_corpus", RECORD)
    monkeypatch.setattr("flows.server.prestart.temporary_server", lambda: started.append(1))
    asked = ("process", tmp_path, "--results", tmp_path / "store", "--model", tmp_path / "model")
    code, out, _ = emi(*asked, "--limit", 5)
    assert (code, started) == (0, [1])
    assert out.startswith("10 clips: 7 scored, 2 rejected, 1 skipped (done before)\n")
    ((places, options),) = calls
    assert places == tuple(str(tmp_path / name) for name in ("", "store", "model"))
    assert (options["limit"], options["coverage"], options["rescore"]) == (5, "first", False)
    code, out, _ = emi(*asked, "--json", "--strict")
    assert (code, json.loads(out)) == (3, RECORD)


def test_demo_shows_its_report(emi, flow, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    rejections = pa.table({"clip_id": ["x.mp4"], "reason": ["too_short"], "detail": ["a word"]})
    metrics = {"Joy": TargetMetrics(0.75, 0.7, 0.1)}
    calls = flow("flows.demo.run_demo", DemoReport(metrics, 40, rejections, {}))
    code, out, _ = emi("demo", "--dir", "new/demo")
    assert code == 0
    assert "Pearson on 40 clips" in out
    assert out.endswith("--model new/demo/model\n")
    assert calls == [((Path("new/demo"), "audio"), {})]
    assert (tmp_path / "new" / "demo").is_dir()
    assert emi("demo", "--modalities", "all")[0] == 0
    assert calls[1:] == [((Path("demo-all"), "all"), {})]


def test_ablate_shows_the_table_and_fails_if_a_cell_did(emi, flow, store, tmp_path):
    ablation = planned(gathered_at(tmp_path / "labelled", ["train", "valid"]), DEBUG, num_seeds=1)
    record(store, ablation, CellRun("full", 1), outcome())
    failed = {CellRun("without LSTM", 1): "the loss is nan"}
    report = AblationReport.of(ablation, recorded_rows(store, ablation.ablation_id), failed)
    found = {"report": report, "failed": {}, "folder": "/report", "num_trained": 1}
    calls = flow("flows.ablate.ablate", found)
    where = ("--labels", store.location, "--corpus", "/clips", "--backbone", "a", "--backbone", "b")
    code, out, _ = emi("ablate", *where)
    assert code == 0
    assert [cell in out for cell in ("full", "without LSTM", "0.500")] == [True] * 3
    assert out.endswith("report: /report\n")
    ((labels,), options) = calls[0]
    assert (labels, options["results"], options["backbones"]) == (
        store.location,
        store.location,
        ["a", "b"],
    )
    found["failed"] = failed
    code, out, err = emi("ablate", *where, "--json")
    assert code == 2
    assert "emi: without LSTM, seed 1 failed: the loss is nan" in err
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row["cell"] for row in rows} == {cell.name for cell in ablation.cells}
    options = ("--results", tmp_path / "new", "--features", "pulse")
    assert "expected NAME=PATH" in emi("ablate", *where, *options)[2]
    assert not (tmp_path / "new").exists()


def test_compare_shows_its_tables_and_fails_if_a_system_did(emi, flow, store, tmp_path):
    gathered = gathered_at(tmp_path / "labelled", ["train"] * 4 + ["valid"] * 2)
    comparison = compared(gathered)
    record_training(store, comparison, comparison.runs[0], predicted(comparison, 0.1))
    failed = {comparison.runs[1]: "the loss is nan"}
    trainings = recorded_trainings(comparison, store)
    report = ComparisonReport.of(comparison, trainings, failed)
    found = {"report": report, "failed": {}, "folder": "/report"}
    calls = flow("flows.compare.compare_fusions", found)
    where = ("--labels", store.location, "--corpus", "/clips", "--recipe", "debug")
    grid = ("--fusion", "paper", "--fusion", "concat", "--set", "epochs=2", "--shuffle-labels")
    code, out, _ = emi("compare", *where, *grid)
    assert code == 0
    assert all(word in out for word in ("less paper", "Pearson by target", "concat"))
    assert out.endswith("report: /report\n")
    ((labels,), options) = calls[0]
    assert (labels, options["results"]) == (store.location, store.location)
    assert (options["recipes"], options["fusions"]) == (["debug"], ["paper", "concat"])
    assert (options["settings"], options["shuffle_labels"]) == ({"epochs": "2"}, True)
    found["failed"] = {("concat", 1): "the loss is nan"}
    code, out, err = emi("compare", *where, *grid, "--json")
    assert code == 2
    assert "emi: concat, seed 1 failed: the loss is nan" in err
    assert {json.loads(line)["name"] for line in out.splitlines()} == {"paper", "concat"}
    assert "no fusion for 'cake'" in emi("compare", *where, "--fusion", "cake")[2]
