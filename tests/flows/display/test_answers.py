"""Answers on a terminal: whatever the columns, no line is wider than the terminal."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from flows.display.answers import MAX_ROWS, cell, show_answer

WIDE = pa.table({"clip_id": ["a.mp4", "b.mp4"]} | {f"score_{n:02d}": [0.1, 0.2] for n in range(40)})


def shown(table, monkeypatch, columns=80):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = io.StringIO()
    show_answer(table, out)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.077533394, "0.078"),
        (0.0, "0.000"),
        (0.00001, "1e-05"),
        (Decimal("3"), "3"),
        (Decimal("0.5"), "0.500"),
        (12_345, "12345"),
        (True, "true"),
        (None, "-"),
        (float("nan"), "nan"),
        (datetime(2026, 11, 26, 8, 5, 3, 999, tzinfo=UTC), "2026-11-26 08:05:03"),
        (["silent", "clipped"], "silent, clipped"),
        ([("timeout", 2)], "timeout: 2"),
        ({"a": 0.5}, "a: 0.500"),
        ("a\x1b[1m\nb", r"a\x1b[1m\nb"),
        ("[joy] 01.wav", "[joy] 01.wav"),
    ],
)
def test_values_are_short_and_plain(value, text):
    assert cell(value) == text


def test_a_narrow_answer_is_one_table_without_types_and_counts(monkeypatch):
    lines = shown(pa.table({"clip_id": ["[joy] 01.wav"], "joy": [0.123456]}), monkeypatch)
    assert [line.split() for line in lines if "─" not in line] == [
        ["clip_id", "joy"],
        ["[joy]", "01.wav", "0.123"],
    ]


@pytest.mark.parametrize("columns", [80, 200])
def test_a_wide_answer_goes_on_below_with_its_first_column(columns, monkeypatch):
    lines = shown(WIDE, monkeypatch, columns)
    assert max(map(len, lines)) <= columns
    heads = [line for line in lines if line.startswith("clip_id")]
    assert len(heads) > 1
    assert sum(line.count("score_") for line in heads) == 40
    assert sum(line.startswith("a.mp4") for line in lines) == len(heads)


def test_one_wide_row_is_a_line_a_column(monkeypatch):
    lines = shown(WIDE.slice(0, 1), monkeypatch)
    assert [line.split() for line in lines[2:4]] == [["clip_id", "a.mp4"], ["score_00", "0.100"]]


def test_long_texts_are_wrapped_not_cut(monkeypatch):
    long = "x" * 200
    lines = shown(pa.table({"clip_id": [long, "b"], "joy": [0.5, 0.25]}), monkeypatch)
    assert "".join(lines).count("x") == 200
    assert max(map(len, lines)) <= 80


def test_many_rows_are_counted_and_none_are_said(monkeypatch):
    many = pa.table({"n": list(range(MAX_ROWS + 5))})
    assert shown(many, monkeypatch)[-1] == "the first 100 of 105 rows; --format csv gives all"
    assert shown(many.slice(0, 0), monkeypatch) == ["no rows; columns: n"]
