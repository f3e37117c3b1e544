"""`emi bench` without the whole job, for real; the whole job stands in the integration tests."""

import json
import tempfile

import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from emi_model.speed import machine
from tests.tiny import BACKBONE


@pytest.fixture(autouse=True)
def left_alone(monkeypatch):
    """Small products of matrices, briefly, and the threads that the other tests have."""
    monkeypatch.setitem(machine.SIZES, "cpu", ((64, 64, 64),))
    monkeypatch.setattr("emi_model.speed.measure.PEAK_SECONDS", 0.01)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    save_checkpoint(tmp_path / "model", EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return tmp_path / "model"


def test_the_model_alone_is_measured_and_nothing_is_left(emi, model, temporary):
    asked = ("bench", "--model", model, "--seconds", "0.2", "--no-whole-job", "--precision", "fp32")
    code, out, err = emi(*asked, "--json")
    assert code == 0, err
    (line,) = out.splitlines()
    found = json.loads(line)
    assert found["model"] == str(model)
    assert found["precision"] == "fp32"
    assert found["whole_job"] is None
    alone = found["alone"]["fp32"]
    assert alone["numerics"] == "fp32"
    assert alone["seconds"] >= 0.2
    assert alone["num_clips"] % alone["clips_per_call"] == 0
    assert alone["share_of_peak"] > 0
    assert alone["times_plain"] > 0
    assert "model alone, fp32" in err
    assert list(temporary.iterdir()) == []


def test_figures_for_people(emi, model, temporary):
    code, out, err = emi("bench", "--model", model, "--seconds", "0.1", "--no-whole-job")
    assert code == 0, err
    for figure in ("machine", "plain way", "share of the peak", "audio-hours per hour"):
        assert figure in out


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("--precision", "fp17"), "is not one of"),
        (("--seconds", "0"), "is not in the range"),
        (("--clips", "0"), "is not in the range"),
        (("--no-whole-job", "--clips", "9"), "--clips is of the whole job"),
        (("--model", "no/such/model"), "no such folder"),
    ],
)
def test_what_cannot_be_measured_is_said(emi, temporary, asked, expected):
    code, out, err = emi("bench", *asked)
    assert (code, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err
    assert list(temporary.iterdir()) == []


def test_an_interruption_leaves_nothing(emi, model, temporary, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.bench.measure", interrupted)
    code, out, err = emi("bench", "--model", model, "--no-whole-job")
    assert (code, out) == (130, "")
    assert "nothing is kept" in err
    assert list(temporary.iterdir()) == []
