"""What `emi process` and `emi query` cannot do is said in one line, and nothing is made of it."""

import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
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
