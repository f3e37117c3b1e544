import logging
from uuid import uuid4

import httpx
import pytest

from flows.server import artifacts
from flows.server.artifacts import (
    ProgressArtifact,
    decision_markdown,
    evaluation_markdown,
    show_run,
    shown_in_ui,
)
from flows.server.run_log import Several
from tasks.progress import Observer, observer
from tests.labelled import labelled_rows, near, report_on


class Notes(Observer):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def begin(self, *told):
        self.told.append(told)

    def advance(self, *told):
        self.told.append(told)

    def reached(self, *told):
        self.told.append(told)

    def note(self, *told):
        self.told.append(told)


def test_a_report_is_mean_pearson_with_its_interval_and_a_row_a_target():
    rows = labelled_rows(20)
    text = evaluation_markdown(report_on(rows))
    first, _, header, _, *targets = text.splitlines()
    assert first.startswith("**mean Pearson 0.")
    assert "(95 % interval) on 20 clips of split valid, 4 speakers" in first
    assert header == "| target | Pearson | CCC | MAE |"
    assert [line.split(" | ")[0] for line in targets] == ["| Awe", "| Sheer Joy", "| **mean**"]
    assert all(" to " in line for line in targets)


def test_what_is_undefined_says_so():
    rows = labelled_rows(6)
    alike = near(rows)
    alike[:, 0] = 0.5
    text = evaluation_markdown(report_on(rows, predictions=alike))
    assert "| Awe | undefined |" in text


def decision(**replaced):
    row = {
        "name": "emi",
        "champion": "1",
        "challenger": "2",
        "champion_pearson": 0.25,
        "challenger_pearson": 0.5,
        "difference": 0.25,
        "promoted": True,
        "reason": "better: mean Pearson differs by +0.250",
        "num_clips": 40,
    }
    return decision_markdown(row | replaced)


def test_a_decision_is_the_verdict_its_reason_and_both_figures():
    text = decision()
    assert text.startswith("## emi version 2: promoted\n\nbetter: mean Pearson")
    assert "| champion before | version 1 | 0.250 |" in text
    assert "| challenger | version 2 | 0.500 |" in text
    assert text.endswith("On 40 clips that neither was trained on, a difference of +0.250.")
    text = decision(promoted=False, champion=None, champion_pearson=None, difference=None)
    assert "version 2: not promoted" in text
    assert "| champion before | none | - |" in text
    assert decision(challenger=None, reason="nothing new") == "## emi: nothing new"


def test_progress_is_a_share_and_a_line():
    progress = ProgressArtifact(uuid4())
    progress.begin("starting workers", None, "")
    assert progress._now() == (0.0, "starting workers")
    progress.begin("scoring", 40, "clips")
    progress.advance(10, "· 2 rejected · 3.0 audio-hours/h ·")
    assert progress._now() == (25.0, "scoring · 10 of 40 clips · 2 rejected · 3.0 audio-hours/h")
    progress.reached(50, 40)
    assert progress._now()[0] == 100.0


def test_several_are_told_the_same():
    notes = Notes(), Notes()
    several = Several(*notes)
    several.begin("scoring", 4, "clips")
    several.advance(2, "fine")
    several.reached(3, 4)
    several.note("a line")
    told = [("scoring", 4, "clips"), (2, "fine"), (3, 4), ("a line",)]
    assert notes[0].told == notes[1].told == told


def test_without_a_server_nothing_is_shown(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    before = observer()
    with shown_in_ui():
        assert observer() is before
    show_run(
        dict.fromkeys(("num_listed", "num_scored", "num_rejected", "num_skipped"), 0)
        | {"num_adopted": 0, "audio_seconds": 0.0, "wall_seconds": 1.0, "reasons": {}}
        | {"model": "m", "run_id": "r", "state": "completed"}
    )


@pytest.mark.parametrize("error", [httpx.ConnectError("no"), OSError("gone")])
def test_a_server_that_takes_no_artifact_costs_no_run(caplog, error):
    def send():
        raise error

    with caplog.at_level(logging.WARNING, logger=artifacts.__name__):
        artifacts._tried(send)
    assert "did not take an artifact" in caplog.text
