"""Real Ray, real Prefect servers, real ffmpeg: a tiny model and a small corpus for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from emi_model.card import ModelCard
from emi_model.checkpoint import save_checkpoint
from emi_model.config import EmiConfig
from emi_model.model import EmiModel
from tasks.media import find_ffmpeg
from tasks.query import answer
from tasks.synthetic import write_corpus
from tests.tiny import BACKBONE


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A tiny checkpoint with random weights."""
    torch.manual_seed(0)
    config = EmiConfig(backbone=BACKBONE)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, EmiModel(config).eval(), ModelCard("tiny", config.targets))
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """The demo's corpus, smaller: 48 clips and 6 files that are none."""
    folder = tmp_path_factory.mktemp("corpus") / "clips"
    write_corpus(folder, num_clips=48, num_speakers=6)
    return folder


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
    return str(ffmpeg_that("sleep 0.2"))


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
