from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from emi_model.errors import RegistryError
from tasks.home import home
from tasks.registry.client import mlflow_client, registry_address
from tasks.registry.tracking import EXPERIMENT, TrainingRun, start_run

NOBODY = "http://someone:secret@127.0.0.1:9/mlflow"
"""A server that is not there: the discard port, on which nobody listens."""


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def curve(run_id: str, name: str) -> list[tuple[int, float]]:
    history = mlflow_client().get_metric_history(run_id, name)
    return sorted((point.step, point.value) for point in history)


@pytest.mark.usefixtures("emi_home")
def test_a_run_keeps_what_it_is_told(tmp_path: Path) -> None:
    tags = {"commit": None, "recipe": "debug", "versions": {"torch": "2.13.0"}}
    run = start_run("t1", tags)
    run.log_params({"epochs": 2, "backbone": {"conv_dim": [16, 16]}})
    run.log_epoch(1, {"train_loss": 0.5, "valid_pearson": None})
    run.log_epoch(2, {"train_loss": 0.25, "valid_pearson": 0.5, "odd": math.nan})
    run.log_metrics({"mean_pearson": 0.5, "undefined": None})
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a.txt").write_text("a")
    run.log_folder(tmp_path / "plots", "plots")
    run.finish("FINISHED")

    client = mlflow_client()
    kept = client.get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params == {"epochs": "2", "backbone.conv_dim": "[16, 16]"}
    assert kept.data.metrics == {"train_loss": 0.25, "valid_pearson": 0.5, "mean_pearson": 0.5}
    assert curve(run.run_id, "train_loss") == [(1, 0.5), (2, 0.25)]
    assert kept.data.tags["versions.torch"] == "2.13.0"
    assert "commit" not in kept.data.tags
    assert client.get_experiment(kept.info.experiment_id).name == EXPERIMENT
    assert {file.path for file in client.list_artifacts(run.run_id)} == {"parameters.json", "plots"}


@pytest.mark.usefixtures("emi_home")
def test_files_lie_below_the_home() -> None:
    run = start_run("t1", {})
    run.log_params({"path": Path("a")})
    (file,) = (home() / "artifacts").rglob("parameters.json")
    assert json.loads(file.read_text()) == {"path": "a"}


@pytest.mark.usefixtures("emi_home")
def test_a_training_that_goes_on_does_so_in_its_run() -> None:
    killed = start_run("t1", {"recipe": "debug"})
    other = start_run("t2", {})
    killed.log_params({"workers": 1})
    killed.log_epoch(1, {"train_loss": 0.5})
    killed.log_metrics({"mean_pearson": 0.4})

    run = start_run("t1", {"recipe": "debug", "commit": "abc"})
    assert run.run_id == killed.run_id != other.run_id
    run.log_params({"workers": 2, "seed": 1})
    for epoch, loss in ((1, 0.50001), (2, 0.25)):
        run.log_epoch(epoch, {"train_loss": loss})
    run.log_metrics({"mean_pearson": 0.6})
    run.log_metrics({"mean_pearson": 0.6})

    assert curve(run.run_id, "train_loss") == [(1, 0.5), (2, 0.25)]
    assert len(curve(run.run_id, "mean_pearson")) == 2
    kept = mlflow_client().get_run(run.run_id)
    assert kept.info.status == "RUNNING"
    assert kept.data.params == {"workers": "1", "seed": "1"}
    assert kept.data.tags["commit"] == "abc"


@pytest.mark.usefixtures("emi_home")
def test_a_value_too_long_for_mlflow_is_cut_and_kept_whole_in_a_file() -> None:
    run = start_run("t1", {"note": "n" * 20_000})
    run.log_params({"long": "x" * 20_000})
    kept = mlflow_client().get_run(run.run_id).data
    assert kept.params["long"].endswith("xxx...")
    assert kept.tags["note"].endswith("nnn...")
    (file,) = (home() / "artifacts").rglob("parameters.json")
    assert json.loads(file.read_text()) == {"long": "x" * 20_000}


@pytest.mark.usefixtures("emi_home", "no_retries")
def test_a_training_does_not_end_because_mlflow_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start_run("t1", {})
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", NOBODY)
        run.log_epoch(1, {"train_loss": 0.5})
        run.log_epoch(2, {"train_loss": 0.25})
        with pytest.raises(RegistryError):
            run.finish("FINISHED")
    assert curve(run.run_id, "train_loss") == []
    run.finish("KILLED")
    assert curve(run.run_id, "train_loss") == [(1, 0.5), (2, 0.25)]


@pytest.mark.usefixtures("no_retries")
def test_a_server_that_is_not_there_is_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    with pytest.raises(RegistryError) as caught:
        start_run("t1", {})
    assert str(caught.value).startswith("MLflow at http://127.0.0.1:9/mlflow: ")
    assert str(caught.value).endswith(": is MLFLOW_TRACKING_URI right, and does the server run?")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("emi_home")
def test_a_run_that_is_not_there() -> None:
    with pytest.raises(RegistryError, match="not found"):
        TrainingRun("0" * 32)


def test_a_database_is_made_once_quietly_and_over_what_a_killed_process_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "new" / "emi"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    left = tmp_path / "new" / "emi" / ".mlflow.db-1"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    mlflow_client()
    database = tmp_path / "new" / "emi" / "mlflow.db"
    made = database.stat()
    assert mlflow_client().get_experiment("0").artifact_location.startswith(home().as_uri())
    assert database.stat() == made
    assert {path.name for path in database.parent.iterdir()} == {"mlflow.db", "mlflow.lock"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sqlite:///{}/foreign.db", "found no readable SQLite database"),
        ("sqlite:////proc/nowhere/mlflow.db", "cannot be written"),
        ("sqlite:///{}/50%/mlflow.db", "'%' or '?'"),
        ("ftp://127.0.0.1", "unsupported URI"),
        ("mssql://127.0.0.1:9/emi", "No module named"),
    ],
)
def test_what_is_no_place_for_records_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, said: str
) -> None:
    (tmp_path / "foreign.db").write_text("Not a database, but long enough to be read as one.\n" * 9)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(tmp_path))
    with pytest.raises(RegistryError) as caught:
        start_run("t1", {})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_home_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.delenv("EMI_HOME", raising=False)
    assert registry_address() == "/home/anna/.emi/mlflow.db"
    monkeypatch.setenv("EMI_HOME", "~/elsewhere")
    assert registry_address() == "/home/anna/elsewhere/mlflow.db"
