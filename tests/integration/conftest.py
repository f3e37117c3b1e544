"""Real Ray, real Prefect servers, real ffmpeg: a tiny model and a small corpus for them."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import save_checkpoint
from tasks.extraction.ffmpeg import find_ffmpeg
from tasks.processes.server_database import DATABASE_FILE
from tasks.store.query import answer
from tasks.synthetic.corpus import write_corpus
from tests.integration.prefect_server import StartedServer, copy_database, wait_for_server
from tests.pseudo_terminal import PseudoTerminal
from tests.tiny import BACKBONE

LONGEST_FIRST = (
    *("test_training", "test_deployments", "test_cluster", "test_demo", "test_interruption"),
    *("test_ablation", "test_buckets", "test_bench", "test_second_branch", "test_worker_deaths"),
    *("test_retraining", "test_process", "test_parity", "test_temporary_server", "test_evaluate"),
    *("test_registry", "test_earlier_version"),
)
"""Order of the files, so that pytest-xdist's processes end together; others come first."""

SERVER = pytest.StashKey[StartedServer]()
SERVER_INPUT = "prefect_server"

A_CLIP = 'for argument; do [ "$argument" = -i ] && {}; done'
"""Shell code that runs a command for each input of an ffmpeg with several inputs."""


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Start the server when pytest-xdist starts its first process, and tell all where it is."""
    stash = node.config.stash
    if SERVER not in stash:
        stash[SERVER] = StartedServer()
    node.workerinput[SERVER_INPUT] = (stash[SERVER].url, str(stash[SERVER].database))


def pytest_unconfigure(config):
    if SERVER in config.stash:
        config.stash[SERVER].stop()


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
    """A small demo corpus: 48 clips and 6 files that are not clips."""
    return made_once("corpus", lambda folder: write_corpus(folder, num_clips=48, num_speakers=6))


@pytest.fixture(scope="session")
def prefect_server(request):
    """A Prefect server: its URL, and its database's file."""
    handed = getattr(request.config, "workerinput", {}).get(SERVER_INPUT)
    if handed:
        wait_for_server(handed[0])
        yield handed
        return
    server = StartedServer()
    server.wait()
    yield server.url, server.database
    server.stop()


@pytest.fixture(scope="session")
def prefect_database(made_once, prefect_server):
    """The database of a Prefect server that has started once: its tables take 5 s of CPU to make.

    `test_temporary_server` begins without one, as a user does.
    """

    def make(folder):
        folder.mkdir()
        copy_database(prefect_server[1], folder / DATABASE_FILE)

    return made_once("prefect", make) / DATABASE_FILE


@pytest.fixture(scope="session")
def environment(tmp_path_factory, prefect_database):
    """A user's environment with separate folders for Prefect and models.

    The startup timeout is long: several runs may each start a server on two cores.
    """
    own = {
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "EMI_HOME": str(tmp_path_factory.mktemp("emi")),
    }
    (Path(own["EMI_HOME"]) / "prefect").mkdir()
    shutil.copy(prefect_database, Path(own["EMI_HOME"]) / "prefect")
    return {**os.environ, **own}


@pytest.fixture(scope="session")
def launch(environment):
    """Return a function that starts the command; the fixture kills what still runs at the end."""
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


@pytest.fixture
def at_terminal(environment):
    """Return a function that starts the command in a terminal of its own, with no server."""
    with ExitStack() as terminals:

        def start(*arguments, **extra):
            command = [Path(sys.executable).parent / "emi", *arguments]
            return terminals.enter_context(PseudoTerminal(command, {**environment, **extra}))

        yield start


@pytest.fixture(scope="session")
def emi(launch):
    """Return a function that runs the command and returns exit code, stdout, stderr."""

    def run(*arguments, **extra):
        process = launch(*arguments, **extra)
        out, err = process.communicate(timeout=240)
        return process.returncode, out, err

    return run


@pytest.fixture(scope="session")
def served(prefect_server, prefect_database):
    """The environment with a Prefect server for the command; flows in this process use it, too.

    A run that starts a server of its own takes 5 to 14 s longer. The database is copied before.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    url, _ = prefect_server
    with temporary_settings({PREFECT_API_URL: url}):
        yield {"PREFECT_API_URL": url}
        with suppress(RuntimeError):  # it was never started
            APILogWorker.instance().drain()
        EventsWorker.drain_all(at_exit=False)


@dataclass(frozen=True)
class Processed:
    """The result of `emi process` on the corpus, with the columns of both coverages."""

    results: Path
    options: tuple
    record: dict
    err: str


@pytest.fixture(scope="session")
def processed(made_once, emi, corpus, model):
    """The corpus, processed without faults, in full, and without a server, as by most users."""
    options = ("--model", model, "--coverage", "full")

    def make(folder):
        code, out, err = emi("process", corpus, "--results", folder / "store", *options, "--json")
        assert code == 0, err
        (folder / "out.json").write_text(out)
        (folder / "err.txt").write_text(err)

    folder = made_once("processed", make)
    err = (folder / "err.txt").read_text()
    (record,) = map(json.loads, (folder / "out.json").read_text().splitlines())
    return Processed(folder / "store", options, record, err)


@pytest.fixture(scope="session")
def ffmpeg_that(tmp_path_factory):
    """Return a function that writes an ffmpeg that first runs a line of shell."""

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
    """Return a store's rows, ordered by clip, without columns that differ between two runs."""
    rows = answer(
        results,
        "SELECT * EXCLUDE (run_id, scored_at) FROM scores ORDER BY clip_id",
    ).to_pylist()
    return [{name: rounded(value) for name, value in row.items()} for row in rows]


def rounded(value):
    """Compare floats to 1e-5, to which a clip's scores in different batches agree."""
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
