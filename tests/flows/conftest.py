"""Runs the `emi` command in this process; events and trainings reach no server and no Ray."""

import sys
from contextlib import nullcontext
from dataclasses import replace

import pytest

from flows.cli import main
from tasks.progress import take_remarks
from tests.tiny import BACKBONE


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    """Keep tests away from the developer's own Prefect server."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(main, "use_running_server", lambda: None)
    monkeypatch.setattr(main, "use_own_settings", lambda: None)


@pytest.fixture
def emi(monkeypatch, capfd):
    """Return a function that runs the command and returns exit code, stdout, stderr."""
    monkeypatch.delenv("EMI_MODEL", raising=False)
    monkeypatch.setattr(main, "quick_end", nullcontext)  # it would end this process, with its code

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["emi", *map(str, arguments)])
        take_remarks()  # of other tests
        try:
            main.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def quiet_verbs(monkeypatch):
    """Let verbs that run a flow write to the test's streams, and live on after it."""
    monkeypatch.setattr("flows.cli.run.redirect_output", lambda log: None)
    monkeypatch.setattr("tasks.processes.guard.guard_this_process", lambda: None)
    monkeypatch.setattr("flows.server.prestart.temporary_server", lambda: None)


@pytest.fixture
def sent(monkeypatch):
    """The events that flows send: name, resource and payload of each."""
    events = []
    monkeypatch.setattr("flows.server.events.emit", lambda *event: events.append(event))
    return events


@pytest.fixture
def trainings(monkeypatch, emi_home):
    """The jobs that were trained: instead of Ray's workers, each saves a tiny model as it is."""
    import torch

    from emi_model.architecture.config import EmiConfig
    from emi_model.architecture.model import EmiModel
    from emi_model.checkpoints.checkpoint import save_checkpoint
    from emi_model.training.trainer import EpochReport
    from tasks.evaluation.evaluate import predict
    from tasks.training.run import Trained

    jobs = []

    def train(job, storage, *, workers, on_epoch):
        jobs.append(job)
        torch.manual_seed(len(jobs))
        model = EmiModel(EmiConfig(backbone=BACKBONE, targets=job.targets)).eval()
        contents = {"train": [clip.content_sha256 for clip in job.train]}
        save_checkpoint(storage / "model", model, job.card, training_clips=contents)
        report = EpochReport(1, 3, 0.5, 1e-3, None, None, 2.0)
        on_epoch(replace(report, epoch=2, fold="1 of 5"))
        on_epoch(report)
        predictions = predict(model, job.valid) if job.valid else None
        return Trained(storage / "model", 1, (report,), 2.0, predictions)

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("tasks.training.new_version.train", train)
    return jobs
