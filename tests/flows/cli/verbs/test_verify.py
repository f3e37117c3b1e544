"""`emi verify`, `emi compact`: what they say of a store, and what they do to it."""

import json
import re
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.checkpoints.resolve import read_metadata
from tasks.schema.scores import scores_schema
from tasks.schema.tables import SCORES
from tasks.scoring.commit import RunStamp, Tally
from tasks.scoring.run_record import RunRecord, write_record
from tasks.store.query import answer
from tasks.store.store import create_store
from tests.flows.outcomes import RECORD
from tests.tiny import BACKBONE

pytestmark = pytest.mark.usefixtures("quiet_verbs")


@pytest.fixture
def model(tmp_path):
    config = EmiConfig(backbone=BACKBONE)
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return tmp_path / "model"


@pytest.fixture
def damaged(tmp_path, model):
    """A store with a damaged part of a run over /clips, and the list of the flows that ran."""
    store = create_store(tmp_path / "store")
    metadata = read_metadata(str(model))
    stamp = RunStamp("tiny", metadata.sha256, "full", "run1", "MIT", metadata.card.targets)
    write_record(store, RunRecord(stamp, "/clips", "fp32", datetime.now(UTC)), Tally())
    store.folder.write("scores/run1-00000.parquet", b"")
    return store


def test_a_whole_store(emi, tmp_path):
    store = create_store(tmp_path / "store")
    for options in ((), ("--repair",)):
        code, out, err = emi("verify", "--results", store.location, *options)
        assert (code, out, err) == (0, f"{store.location}: every part is whole\n", "")


def test_damage_is_named_and_the_exit_code_says_it(emi, damaged):
    code, out, err = emi("verify", "--results", damaged.location)
    assert (code, err) == (1, "")
    assert out.splitlines()[:2] == [
        "scores/run1-00000.parquet: an empty file",
        "  its clips cannot be read",
    ]
    code, out, _ = emi("verify", "--results", damaged.location, "--json")
    assert code == 1
    row = {"file": "scores/run1-00000.parquet", "problem": "an empty file", "clips": None}
    assert json.loads(out) == row


def test_repair_scores_again_where_it_was_scored(emi, damaged, model, monkeypatch):
    calls = []

    def stand_in(*arguments, **options):
        calls.append((arguments, options))
        return RECORD

    monkeypatch.setattr("flows.process.process_corpus", stand_in)
    monkeypatch.setattr("flows.server.prestart.temporary_server", lambda: None)
    verify = ("verify", "--results", damaged.location, "--repair", "--model", model)
    code, out, err = emi(*verify)
    assert code == 0, err
    assert calls == [(("/clips", damaged.location, str(model)), {"coverage": "full"})]
    assert "/clips: " in out
    assert damaged.folder.exists("damaged/scores-run1-00000")
    assert emi(*verify)[:2] == (0, f"{damaged.location}: every part is whole\n")


def test_another_model_would_score_everything_anew(emi, damaged, tmp_path, model):
    config = EmiConfig(backbone=BACKBONE)
    torch.manual_seed(1)
    other = tmp_path / "other"
    save_checkpoint(other, EmiModel(config).eval(), ModelCard("other", config.targets))
    verify = ("verify", "--results", damaged.location, "--repair", "--model", other)
    code, _, err = emi(*verify)
    assert code == 2
    assert "the damaged rows were scored by tiny, not by" in err
    assert damaged.folder.exists("scores/run1-00000.parquet")


def test_what_cannot_be_scored_again_stays(emi, tmp_path, model):
    store = create_store(tmp_path / "store")
    store.folder.write("labels/000001.parquet", b"")
    verify = ("verify", "--results", store.location, "--repair", "--model", model)
    code, out, _ = emi(*verify)
    assert code == 1
    assert out.startswith("labels/000001.parquet: an empty file: put back a copy\n")
    assert store.folder.exists("labels/000001.parquet")


def test_damaged_transcripts_are_set_aside_and_to_be_made_again(emi, tmp_path):
    store = create_store(tmp_path / "store")
    store.folder.write("transcripts/run1-00000.parquet", b"")
    code, out, err = emi("verify", "--results", store.location)
    assert (code, err) == (1, "")
    code, out, err = emi("verify", "--results", store.location, "--repair")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "their transcripts are gone: `emi transcribe` makes them again"
    assert emi("verify", "--results", store.location)[0] == 0


def test_compact_merges_and_says_how_much(emi, tmp_path):
    store = create_store(tmp_path / "store")
    compact = ("compact", "--results", store.location)
    assert emi(*compact)[1].strip().endswith("it holds no scores and no transcripts")
    rows = {"clip_id": "a.mp4", "uri": "a", "status": "rejected", "reason": "timeout", "flags": []}
    stamp = {"model": "tiny", "model_sha256": "aa", "coverage": "first", "run_id": "run1"}
    for number in range(2):
        row = rows | stamp | {"scored_at": datetime(2026, 1, 1 + number, tzinfo=UTC)}
        store.commit(f"run1-{number}", {SCORES: pa.Table.from_pylist([row], scores_schema())})
    code, out, err = emi(*compact)
    assert (code, err) == (0, "")
    assert re.search(r"store: scores: 2 parts, [\d,]+ bytes -> 1, [\d,]+\n", out)
    found = json.loads(emi(*compact, "--json")[1])
    assert (found["table"], found["is_merged"], found["num_parts"]) == ("scores", False, 1)
    assert emi(*compact)[1] == f"{store.location}: scores: nothing to merge\n"
    assert answer(store.location, "FROM rejections").num_rows == 1
    with store.lock():
        code, _, err = emi(*compact)
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = emi("compact", "--results", str(tmp_path / "none"))
    assert (code, "no results store here" in err) == (2, True)
