"""Several processes at one registry, from its first use on; one that is killed at its first use."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from tasks.registry.champion import CHAMPIONS_TAG
from tasks.registry.client import mlflow_client
from tasks.registry.registry import list_versions, register
from tasks.registry.tracking import start_run

PROCESSES = 2

WORK = """
import sys
from pathlib import Path
from tasks.registry.champion import promote
from tasks.registry.registry import register
from tasks.registry.tracking import start_run

name, models = sys.argv[1], [Path(model) for model in sys.argv[2:]]
own, shared = start_run(name, {}), start_run("shared", {})
for epoch in range(1, 21):
    own.log_epoch(epoch, {"train_loss": 1 / epoch})
for model in models:
    promote("emi", register("emi", model, shared.run_id, {"recipe": "debug"}))
own.finish("FINISHED")
"""

FIRST_USE = (
    "from tasks.registry.client import mlflow_client; print('go', flush=True); mlflow_client()"
)


@pytest.fixture
def emi_home(tmp_path, monkeypatch):
    """An `EMI_HOME` in which nothing is yet."""
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "home"


@pytest.fixture
def other_model(tmp_path, model):
    """The same weights, heard for another length: another model."""
    loaded = load_checkpoint(model)
    loaded.model.config = replace(loaded.model.config, clip_seconds=6.0)
    save_checkpoint(tmp_path / "other", loaded.model, loaded.card)
    return tmp_path / "other"


def start(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


@pytest.mark.usefixtures("emi_home")
def test_processes_that_begin_together_share_one_registry(model, other_model):
    started = [start(WORK, f"t{number}", model, other_model) for number in range(PROCESSES)]
    for process in started:
        assert process.communicate(timeout=120) == ("", "")
        assert process.returncode == 0
    known = list_versions("emi")
    assert [version.number for version in known] == [1, 2]
    assert len({version.run_id for version in known}) == 1
    client = mlflow_client()
    (training,) = (e for e in client.search_experiments() if e.name == "emi-training")
    runs = client.search_runs([training.experiment_id])
    assert len(runs) == PROCESSES + 1
    for run in runs:
        if run.info.run_name != "shared":
            assert len(client.get_metric_history(run.info.run_id, "train_loss")) == 20
    (registered,) = client.search_registered_models()
    champions = json.loads(registered.tags[CHAMPIONS_TAG])
    assert champions[-1] == int(registered.aliases["champion"])
    assert all(one != next_one for one, next_one in pairwise(champions))


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.5])
def test_a_process_killed_at_the_first_use_leaves_nothing_in_the_way(emi_home, model, seconds):
    process = start(FIRST_USE)
    process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    run = start_run("t1", {})
    assert register("emi", model, run.run_id, {}) == 1
    assert not list(emi_home.glob(".mlflow.db-*"))
