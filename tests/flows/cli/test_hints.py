"""Commands that verbs suggest: each is run here as it was printed."""

import shlex
from datetime import UTC, datetime

import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from flows.display.hints import not_shown
from tasks.registry.champion import promote
from tasks.registry.registry import find, register
from tasks.registry.tracking import start_run
from tasks.scoring.commit import RunStamp, Tally
from tasks.scoring.run_record import RunRecord, write_record
from tasks.store.store import create_store
from tests.flows.outcomes import RECORD, TRAINING
from tests.tiny import BACKBONE

pytestmark = pytest.mark.usefixtures("quiet_verbs", "emi_home")


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return tmp_path / "model"


def pasted(emi, line):
    """Run a printed command as a shell would."""
    program, *arguments = shlex.split(line)
    assert program == "emi"
    return emi(*arguments)


def test_what_train_suggests_promotes_that_model(emi, model, monkeypatch, tmp_path):
    run = start_run("t1", {})
    for name in ("emi", "own"):
        assert register(name, model, run.run_id, {}) == 1
    monkeypatch.setattr(
        "flows.train.train_model",
        lambda *_, **__: TRAINING | {"reference": "models:/own/1", "version": 1},
    )
    store = create_store(tmp_path / "store").location
    _, out, _ = emi("train", "--labels", store, "--corpus", "/clips", "--name", "own")
    code, said, err = pasted(emi, out.rpartition("make it champion: ")[2])
    assert (code, err) == (0, "")
    assert said.startswith("own: version 1 is the champion")
    assert find("champion", "own").number == 1
    assert find("1", "emi").aliases == ()


def test_what_the_first_run_suggests_answers(emi, model, monkeypatch, tmp_path):
    monkeypatch.setattr("flows.server.prestart.temporary_server", lambda: None)
    monkeypatch.setattr("flows.process.process_corpus", lambda *_, **__: RECORD)
    (tmp_path / "a.mp4").write_bytes(b"a")
    asked = ("process", tmp_path, "--results", tmp_path / "a 'store'", "--model", model)
    code, out, _ = emi(*asked)
    assert code == 0
    steps = out.partition("next:\n")[2].splitlines()
    assert len(steps) == 2
    for line in steps:
        assert pasted(emi, line.strip())[0] == 0
    stamp = RunStamp("tiny", "aa", "first", "r1", "none", ())
    store = create_store(tmp_path / "a 'store'")
    write_record(store, RunRecord(stamp, "corpus", "auto", datetime.now(UTC)), Tally())
    assert "next:" not in emi(*asked)[1]


def test_a_model_that_was_only_tried_is_not_shown_and_that_is_said():
    current = {"model": "best", "model_sha256": "bb", "coverage": "full", "is_champion": True}
    assert not_shown(RECORD, None) is None
    shown = current | {"model_sha256": RECORD["model_sha256"], "coverage": RECORD["coverage"]}
    assert not_shown(RECORD, shown) is None
    said = not_shown(RECORD, current)
    assert said.startswith("`scores` goes on showing model best, coverage full (the champion)")


def test_a_missing_model_is_asked_for_by_its_name(emi, model):
    for name, hint in (("emi", "`emi train` registers"), ("own", "`emi train --name own`")):
        assert hint in emi("models", "show", "1", "--name", name)[2]
    run = start_run("t1", {})
    register("own", model, run.run_id, {})
    promote("own", 1)
    assert "`emi models promote --name own NUMBER`" in emi("models", "rollback", "--name", "own")[2]


def test_an_imported_model_overwrites_none(emi, model, tmp_path):
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    code, out, err = emi(
        "import-checkpoint", tmp_path / "none.pth", "--backbone", tmp_path, "--out", model
    )
    assert (code, out) == (2, "")
    assert err == f"emi: {model}: exists and is not empty: choose another folder\n"
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
