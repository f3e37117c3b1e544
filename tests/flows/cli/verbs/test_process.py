"""What `emi process` and `emi query` cannot do is said in one line, and nothing is made of it."""

import json

import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.errors import ConfigError
from flows.cli.run import log_verb_to
from tasks.store.store import create_store
from tests.tiny import BACKBONE


@pytest.fixture
def places(tmp_path):
    """A model, a corpus, a folder without clips, one with other files, and some not there yet."""
    config = EmiConfig(backbone=BACKBONE)
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), ModelCard("tiny", config.targets))
    for name, file in {
        "corpus": "clip.mp4",
        "empty": "notes.txt",
        "foreign": "thesis.doc",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("nothing to hear")
    return {name: tmp_path / name for name in ("model", "corpus", "empty", "foreign", "gone")}


CASES = {
    "no media file": ("process", "empty", "--results", "gone", "--model", "model"),
    "no such folder": ("process", "gone", "--results", "gone", "--model", "model"),
    "no model named": ("process", "corpus", "--results", "gone"),
    "not a model folder": ("process", "corpus", "--results", "gone", "--model", "empty"),
    "holds other files": ("process", "corpus", "--results", "foreign", "--model", "model"),
    "no results store": ("query", "SELECT 1", "--results", "empty"),
}


@pytest.mark.parametrize("expected", CASES)
def test_what_cannot_be_done_is_one_line(emi, places, expected):
    before = sorted(places["model"].parent.rglob("*"))
    code, out, err = emi(*(places.get(word, word) for word in CASES[expected]))
    assert (code, out) == (2, "")
    assert expected in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(places["model"].parent.rglob("*")) == before


@pytest.fixture
def read_only(tmp_path):
    """A store that takes no file: where its folder for new files would be, there is a file."""
    store = create_store(tmp_path / "store")
    for name in (".staging", "logs"):
        (store.folder.root / name).rmdir()
        (store.folder.root / name).touch()
    store.folder.write("catalog.sql", b"of another place")
    return store.folder.root


def test_a_store_that_cannot_be_written_is_one_line_and_can_be_read(emi, places, read_only):
    process = ("process", places["corpus"], "--results", read_only, "--model", places["model"])
    code, out, err = emi(*process)
    assert (code, out) == (2, "")
    assert err.startswith(f"emi: {read_only}: cannot be written (")
    assert err.endswith("choose another; `emi query` and `emi status` read it as it is\n")
    assert len(err.strip().splitlines()) == 1
    for verb in (("status",), ("query", "SELECT clip_id FROM scores")):
        code, out, err = emi(*verb, "--results", read_only)
        assert (code, err) == (0, "")
    assert (read_only / "catalog.sql").read_bytes() == b"of another place"


@pytest.mark.usefixtures("quiet_verbs")
def test_where_a_store_takes_no_log_it_goes_to_emi_home(read_only, tmp_path, monkeypatch):
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    log_verb_to(read_only / "logs", "train")
    (log,) = (tmp_path / "home" / "logs").iterdir()
    assert log.name.startswith("train-")
    monkeypatch.setenv("EMI_HOME", str(read_only / "logs"))
    with pytest.raises(ConfigError, match="takes no log file: set EMI_HOME"):
        log_verb_to(read_only / "logs", "train")


def test_what_cannot_be_transcribed_is_one_line(emi, places, monkeypatch):
    monkeypatch.delenv("EMI_ASR", raising=False)
    command = ("transcribe", places["corpus"], "--results", places["gone"])
    before = sorted(places["model"].parent.rglob("*"))
    for options, expected in {
        (): "give --asr (a Whisper folder, or a hub id",
        ("--asr", places["model"]): "expected 'whisper'",
        ("--asr", places["empty"]): "emi: ",
    }.items():
        code, out, err = emi(*command, *options)
        assert (code, out) == (2, "")
        assert expected in err
        assert len(err.strip().splitlines()) == 1
    monkeypatch.setattr("tasks.transcription.asr_models.find_spec", lambda name: None)
    code, out, err = emi(*command, "--asr", places["model"])
    assert (code, out) == (2, "")
    assert "pip install 'emi-workflow[text]'" in err
    assert sorted(places["model"].parent.rglob("*")) == before


def test_a_model_that_reads_needs_an_asr_model(emi, places, monkeypatch):
    monkeypatch.delenv("EMI_ASR", raising=False)
    file = places["model"] / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"branches": {"audio": {}, "text": {}}}))
    command = ("process", places["corpus"], "--results", places["gone"])
    code, out, err = emi(*command, "--model", places["model"])
    assert (code, out) == (2, "")
    assert "give --asr (a Whisper folder, or a hub id" in err
    assert len(err.strip().splitlines()) == 1
    assert not places["gone"].exists()
