"""Scores of a few clips on a terminal."""

import io

import pytest

from emi_model.targets import EMI_TARGETS, VAD_DIMENSIONS, column_name
from flows.display.scores import show_scores

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
