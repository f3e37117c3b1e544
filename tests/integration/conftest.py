"""Real Ray, real Prefect servers, real ffmpeg: a tiny model and a small corpus for them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from tasks.extraction.audio import find_ffmpeg
from tasks.store.query import answer
from tasks.synthetic.corpus import write_corpus
from tests.tiny import BACKBONE

LONGEST_FIRST = (
    *("test_deployments", "test_interruption", "test_cluster", "test_buckets", "test_training"),
    *("test_demo", "test_process", "test_retraining", "test_bench", "test_temporary_server"),
    *("test_ablation", "test_worker_deaths", "test_evaluate", "test_parity", "test_registry"),
)
"""The order of the files, so that pytest-xdist's processes end together; others are first."""

A_CLIP = 'for argument; do [ "$argument" = -i ] && {}; done'
"""Shell for an ffmpeg that takes several inputs: what it does for each."""


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, -1))


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A tiny checkpoint with random weights."""
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return folder


@pytest.fixture(scope="session")
def corpus(made_once):
    """The demo's corpus, smaller: 48 clips and 6 files that are none."""
    return made_once("corpus", lambda folder: write_corpus(folder, num_clips=48, num_speakers=6))


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """The environment of a user whose Prefect and models have folders of their own.

    And one with patience: several runs at a time start a server each, on two cores.
    """
    own = {
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "EMI_HOME": str(tmp_path_factory.mktemp("emi")),
    }
    return {**os.environ, **own}


@pytest.fixture(scope="session")
def launch(environment):
    """Start the command; whatever is left running at the end is ended."""
    started = []

    def start(*arguments, **extra):
        command = [Path(sys.executable).parent / "emi", *map(str, arguments)]
        process = subprocess.Popen(
            command,
            env={**environment, **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def emi(launch):
    """Run the command to its end; returns exit code, stdout, stderr."""

    def run(*arguments, **extra):
        process = launch(*arguments, **extra)
        out, err = process.communicate(timeout=240)
        return process.returncode, out, err

    return run


@pytest.fixture(scope="session")
def served():
    """The environment in which the command finds a Prefect server; flows in this process do, too.

    A run that starts a server of its own takes 5 to 14 s longer.
    """
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield {"PREFECT_API_URL": PREFECT_API_URL.value()}


@dataclass(frozen=True)
class Processed:
    """What `emi process` of the corpus led to, both coverages' columns included."""

    results: Path
    options: tuple
    record: dict
    err: str


@pytest.fixture(scope="session")
def processed(made_once, emi, corpus, model):
    """The corpus, processed undisturbed, whole clips, and without a server, as most users do."""
    options = ("--model", model, "--coverage", "full")

    def make(folder):
        code, out, err = emi("process", corpus, "--results", folder / "store", *options, "--json")
        assert code == 0, err
        (folder / "out.json").write_text(out)
        (folder / "err.txt").write_text(err)

    folder = made_once("processed", make)
    said = (folder / "err.txt").read_text()
    (record,) = map(json.loads, (folder / "out.json").read_text().splitlines())
    return Processed(folder / "store", options, record, said)


@pytest.fixture(scope="session")
def ffmpeg_that(tmp_path_factory):
    """Return a function that writes an ffmpeg which first runs a line of shell."""

    def write(line):
        path = tmp_path_factory.mktemp("bin") / "ffmpeg"
        path.write_text(f'#!/bin/sh\n{line}\nexec "{find_ffmpeg()}" "$@"\n')
        path.chmod(0o755)
        return path

    return write


@pytest.fixture(scope="session")
def slow_ffmpeg(ffmpeg_that):
    """An ffmpeg slow enough for a run to be interrupted."""
    return str(ffmpeg_that(A_CLIP.format("sleep 0.2")))


def table(results):
    """The rows of a store without what differs between two runs, ordered by clip."""
    rows = answer(
        results,
        "SELECT * EXCLUDE (run_id, scored_at) FROM scores ORDER BY clip_id",
    ).to_pylist()
    return [{name: rounded(value) for name, value in row.items()} for row in rows]


def rounded(value):
    """Scores of a clip agree to 1e-5 whatever batch it was in; compare at that precision."""
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
