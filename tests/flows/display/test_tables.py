"""Runs and their rows on a terminal and in a file."""

import io
import sys

import pytest

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from flows.display import tables
from flows.display.scores import show_scores
from flows.display.tables import ProgressBar, plain_table, run_summary, show
from tests.flows.outcomes import RECORD


def test_a_run_is_its_counts_its_reasons_and_its_speed():
    assert run_summary(RECORD, "/results").splitlines() == [
        "10 clips: 7 scored, 2 rejected, 1 skipped (done before)",
        "  rejected, too_short: 2",
        "  flagged, silent: 3",
        "2.000 hours of audio in 60.0 s: 120.0 audio-hours per hour",
        "run r1 in /results",
    ]
    nothing = run_summary(RECORD | {"num_scored": 0, "reasons": {}}, "/results")
    assert "audio-hours" not in nothing
    assert "rejected," not in nothing.splitlines()[1]


def test_a_table_in_a_file_is_wide(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    out = io.StringIO()
    show(plain_table(["name", "value"], [["x" * 140, None]]), out)
    assert "x" * 140 in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= tables.PLAIN_WIDTH


def test_what_libraries_write_does_not_come_under_the_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    terminal = io.StringIO()
    with ProgressBar(terminal) as bar:
        bar.begin("scoring", 4, "clips")
        print("RayDeprecationWarning", file=sys.stderr)  # noqa: T201 - as a library does
        print("--- Error logging to API ---")  # noqa: T201
    assert "scoring" in terminal.getvalue()
    assert "Ray" not in terminal.getvalue()
    assert "API" not in terminal.getvalue()
    assert capsys.readouterr().err == "RayDeprecationWarning\n"


def test_progress_in_a_file_is_a_line_a_stage_and_one_now_and_then(monkeypatch):
    out = io.StringIO()
    with ProgressBar(out) as bar:
        bar.note("passed over: 2 .txt")
        bar.begin("starting workers", None, "")
        bar.begin("scoring", 4, "clips")
        bar.advance(1)
        monkeypatch.setattr(tables, "PLAIN_SECONDS", -1.0)
        bar.advance(1, "fine")
        bar.reached(3, 5)
    lines = [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]
    assert lines == [
        "passed over: 2 .txt",
        "starting workers",
        "scoring: 4 clips",
        "scoring: 2/4 clips fine",
        "scoring: 3/5 clips",
    ]


@pytest.mark.parametrize("note", ["", "two rejected"])
def test_progress_on_a_terminal_is_a_bar(note):
    class Tty(io.StringIO):
        def isatty(self):
            return True

    out = Tty()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "120")
        with ProgressBar(out) as bar:
            bar.begin("listing", None, "clips")
            bar.begin("scoring", 4, "clips")
            bar.advance(2, note)
    assert "2/4" in out.getvalue()
    assert note in out.getvalue()
    assert "scoring: 4 clips" not in out.getvalue()


NAMES = ["[joy] 01.wav", "[/red]", "a:smile:b.wav", "\x1b[31mred.wav", "two\nlines.wav"]
SHOWN = ["[joy] 01.wav", "[/red]", "a:smile:b.wav", "\\x1b[31mred.wav", "two\\nlines.wav"]


def test_names_are_printed_as_they_are():
    out = io.StringIO()
    show(plain_table(["[b]clip"], [[name] for name in NAMES]), out)
    columns = [*map(column_name, EMI_TARGETS), *VAD_DIMENSIONS]
    row = dict.fromkeys(columns) | {"scored_seconds": None, "flags": [], "reason": "missing"}
    rows = [row | {"clip_id": name, "detail": name} for name in NAMES[:1] + NAMES[2:]]
    show_scores(rows, EMI_TARGETS, out)
    text = out.getvalue()
    assert "\x1b" not in text
    assert "[b]clip" in text
    assert text.count("[joy] 01.wav") == 3  # the note holds it, too
    for shown in SHOWN:
        assert shown in text


def test_progress_obeys_no_name():
    out = io.StringIO()
    with ProgressBar(out) as bar:
        bar.begin("[joy]\x1b[2J", None, "")
    assert out.getvalue() == "[joy]\\x1b[2J\n"
