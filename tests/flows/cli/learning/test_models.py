from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from tasks.registry.champion import promote
from tasks.registry.registry import register
from tasks.registry.tracking import start_run
from tasks.scoring.direct import score_files
from tests.tiny import BACKBONE

Emi = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("emi_home")


@pytest.fixture
def two_versions(tmp_path: Path) -> list[str]:
    """Register two versions, of which the first is champion; returns their hashes."""
    run = start_run("t1", {})
    run.log_params({"train": {"epochs": 2}})
    for epoch in (1, 2):
        run.log_epoch(epoch, {"train_loss": 0.5 / epoch, "learning_rate": 1e-4})
    run.log_epoch(2, {"valid_pearson": 0.75})
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "curve.png").write_bytes(b"a picture")
    run.log_folder(tmp_path / "plots", "plots")
    config = EmiConfig(backbone=BACKBONE)
    hashes = []
    for number in (1, 2):
        folder = tmp_path / f"model-{number}"
        card = ModelCard("tiny", config.targets, backbone_licence="MIT", recipe="debug")
        save_checkpoint(folder, EmiModel(config).eval(), card)
        tags = {"mean_pearson": 0.5, "mean_pearson_low": 0.4, "mean_pearson_high": 0.6}
        register("emi", folder, run.run_id, tags if number == 1 else {"snapshot": "5a" * 32})
        hashes.append(load_checkpoint(folder).sha256)
    promote("emi", 1)
    return hashes


def test_the_list(emi: Emi, two_versions: list[str]) -> None:
    code, out, err = emi("models", "list")
    assert (code, err) == (0, "")
    first, second = out.splitlines()[3:5]
    for word in ("champion", two_versions[0][:12], "debug", "0.500 (0.400 to 0.600)", "MIT"):
        assert word in first
    assert "champion" not in second
    assert "5a5a5a5a5a5a " in second

    rows = [json.loads(line) for line in emi("models", "list", "--json")[1].splitlines()]
    assert [row["version"] for row in rows] == [1, 2]
    assert [row["sha256"] for row in rows] == two_versions
    assert [row["mean_pearson"] for row in rows] == [0.5, None]


def test_nothing_is_registered_yet(
    emi: Emi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "fresh"))
    code, out, err = emi("models", "list")
    assert (code, out) == (0, "")
    assert "`emi train` registers one" in err
    assert emi("models", "list", "--json") == (0, "", "")


def test_show_by_number_alias_or_reference(emi: Emi, two_versions: list[str]) -> None:
    code, out, err = emi("models", "show", "champion")
    assert (code, err) == (0, "")
    for word in (two_versions[0], "0.500 (0.400 to 0.600)", "source_run"):
        assert word in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "│ train.epochs │ 2 │" in lines
    assert "│ 1 │ 0.500 │ 0.0001 │ - │" in lines
    assert "│ 2 │ 0.250 │ 0.0001 │ 0.750 │" in lines
    picture = Path(lines[-1].removeprefix("picture: "))
    assert picture.read_bytes() == b"a picture"
    assert picture.name == "curve.png"
    assert "plots/emi-1" in str(picture)
    for reference in ("2", "models:/emi/2"):
        code, out, _ = emi("models", "show", "--json", reference)
        assert json.loads(out)["sha256"] == two_versions[1]


def test_promote_and_rollback(emi: Emi, two_versions: list[str]) -> None:
    code, out, _ = emi("models", "promote", "2")
    assert (code, out) == (0, f"emi: version 2 is the champion, {two_versions[1]}\n")
    code, out, _ = emi("models", "rollback")
    assert (code, out) == (0, f"emi: version 1 is the champion, {two_versions[0]}\n")
    code, out, err = emi("models", "rollback")
    assert (code, out) == (2, "")
    assert "no champion before" in err
    assert len(err.splitlines()) == 1


def test_export(emi: Emi, two_versions: list[str], tmp_path: Path) -> None:
    code, out, _ = emi("models", "export", "champion", tmp_path / "out")
    assert (code, out) == (0, f"{tmp_path / 'out'}: models:/emi/1, {two_versions[0]}\n")
    assert load_checkpoint(tmp_path / "out").sha256 == two_versions[0]
    code, _, err = emi("models", "export", "2", tmp_path / "out")
    assert code == 2
    assert "exists and is not empty" in err


def test_a_reference_stands_wherever_a_model_is_named(
    emi: Emi, two_versions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reference, sha256 in zip(
        ("models:/emi@champion", "models:/emi/2"), two_versions, strict=True
    ):
        code, out, err = emi("score", "--model", reference, "--json", tmp_path / "gone.mp4")
        assert (code, err) == (2, f"emi: no such file: {tmp_path / 'gone.mp4'}\n")
        assert json.loads(out)["model_sha256"] == sha256
        (row,), _ = score_files([str(tmp_path / "gone.mp4")], reference)
        assert row["model_sha256"] == sha256
    code, out, _ = emi("check-backbone", "models:/emi@champion")
    assert code == 1
    assert "differs by more than 0.001" in out
    (tmp_path / "a.mp4").write_bytes(b"a")
    monkeypatch.setenv("EMI_MODEL", "models:/emi/7")
    for verb in (("score", "a.mp4"), ("process", tmp_path, "--results", tmp_path / "results")):
        code, out, err = emi(*verb)
        assert (code, out) == (2, "")
        assert err == "emi: models:/emi/7: emi has the versions 1 (champion), 2: name one of them\n"


@pytest.mark.parametrize("verb", [("list",), ("show", "1"), ("promote", "1"), ("rollback",)])
def test_a_server_that_is_not_there_is_one_line(
    emi: Emi, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    code, out, err = emi("models", *verb)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("emi: MLflow at http://127.0.0.1:9: ")
