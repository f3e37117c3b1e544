"""Scores of a few clips on a terminal."""

import io

import pytest

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from flows.display.scores import show_attributions, show_scores

COLUMNS = [*map(column_name, EMI_TARGETS), *VAD_DIMENSIONS]
SCORED = {"clip_id": "a/one.mp4", "scored_seconds": 3.25, "reason": None, "detail": None}
SCORED |= dict.fromkeys(COLUMNS, 0.5) | {"flags": ["clipped"]}
REJECTED = SCORED | dict.fromkeys(COLUMNS) | {"clip_id": "two.mp4", "scored_seconds": None}
REJECTED |= {"flags": [], "reason": "missing", "detail": "no such file"}


def shown(rows, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = io.StringIO()
    show_scores(rows, EMI_TARGETS, out)
    assert max(map(len, out.getvalue().splitlines())) <= columns
    return out.getvalue().splitlines()


def test_a_clip_is_a_line_where_there_is_room(monkeypatch):
    lines = shown([SCORED, REJECTED], 200, monkeypatch)
    first, second = (line for line in lines if ".mp4" in line)
    assert first.count("0.500") == len(COLUMNS)
    assert ("one.mp4" in first, "a/one" in first, "clipped" in first) == (True, False, True)
    assert "3.250" in first
    assert "missing, no such file" in second
    assert "0.500" not in second


@pytest.mark.parametrize("number", [1, 20])
def test_a_clip_is_a_column_where_there_is_not(number, monkeypatch):
    lines = shown([SCORED] * number + [REJECTED], 80, monkeypatch)
    assert "\n".join(lines).count("0.500") == number * len(COLUMNS)
    assert sum(line.startswith("Empathic Pain") for line in lines) == (1 if number == 1 else 3)
    assert lines[-2:] == ["one.mp4: clipped", "two.mp4: missing, no such file"]


def test_where_scores_come_from_is_a_table_that_adds_up(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    audio = {"kind": "modality", "name": "audio", "reference": "silence"}
    second = {"kind": "second", "start_seconds": 0.0, "end_seconds": 1.0}
    parts = [audio, second, {"kind": "remainder"}]
    attributions = [
        {**part, "target": target, "value": number / 10, "base": 0.25, "score": 0.75}
        for number, part in enumerate(parts)
        for target in ("joy", "empathic_pain")
    ]
    out = io.StringIO()
    rows = [SCORED | {"attributions": attributions}, REJECTED | {"attributions": []}]
    show_attributions(rows, out)
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert lines.count(["Joy", "Empathic", "pain"]) == 2
    assert [line for line in lines if "0.250" in line] == [["base", "0.250", "0.250"]] * 2
    assert ["audio,", "not", "silence", "0.000", "0.000"] in lines
    assert ["0.0-1.0", "s", "0.100", "0.100"] in lines
    assert ["together", "0.200", "0.200"] in lines
    assert [line for line in lines if "0.750" in line] == [["score", "0.750", "0.750"]] * 2
    assert "two.mp4" not in out.getvalue()
