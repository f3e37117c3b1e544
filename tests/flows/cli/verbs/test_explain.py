"""`emi explain`: a line a clip, JSON, exit codes, rows in a store."""

import json

import numpy as np
import pytest
import soundfile
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from tests.tiny import BACKBONE


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.delenv("EMI_ASR", raising=False)
    monkeypatch.delenv("EMI_RESULTS", raising=False)
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), ModelCard("tiny", config.targets))
    soundfile.write(tmp_path / "a.wav", np.zeros(4_000), 16_000)
    (tmp_path / "b.mp4").touch()
    return ("explain", tmp_path / "a.wav", tmp_path / "b.mp4", "--model", tmp_path / "model")


def test_a_line_a_clip_and_a_row_each(emi, asked, tmp_path):
    code, out, err = emi(*asked, "--results", tmp_path / "store")
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith(f"{tmp_path / 'a.wav'}: Of the scores, ")
    assert second == f"{tmp_path / 'b.mp4'}: unreadable: the file is empty"
    sql = "SELECT status, reason, num_sentences FROM explanations ORDER BY clip_id"
    code, out, _ = emi("query", sql, "--results", tmp_path / "store", "--format", "json")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"status": "explained", "reason": None, "num_sentences": 2},
        {"status": "rejected", "reason": "unreadable", "num_sentences": 0},
    ]


def test_json_has_the_stores_column_names(emi, asked):
    code, out, _ = emi(*asked, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["reason"] for row in rows] == [None, "unreadable"]
    assert json.loads(rows[0]["evidence"])["loudness_dbfs"] == -100


def test_exit_codes_are_those_of_emi_score(emi, asked, tmp_path):
    assert emi(*asked, "--strict")[0] == 3
    code, _, err = emi(*asked, tmp_path / "none.wav")
    assert (code, err) == (2, f"emi: no such file: {tmp_path / 'none.wav'}\n")
    code, out, err = emi(*asked, "--llm", tmp_path / "none")
    assert (code, out) == (2, "")
    assert "no such folder" in err


def test_its_help_says_what_it_is_not(emi):
    code, out, _ = emi("explain", "--help")
    assert code == 0
    assert "a model's estimate of how expression is perceived" in " ".join(out.split())
