"""`emi query`, called as a shell would."""

import json

import pyarrow.parquet as pq
import pytest

from tasks.store.store import create_store


@pytest.fixture
def store(tmp_path, monkeypatch):
    folder = tmp_path / "store"
    create_store(folder)
    monkeypatch.setenv("EMI_RESULTS", str(folder))
    (tmp_path / "own.csv").write_text("name;age\nanna;30\nben;3\n")
    return folder


def test_a_table_of_ones_own_beside_the_views(emi, store, tmp_path):
    sql = "SELECT name, age, clip_id FROM own LEFT JOIN scores ON clip_id = name ORDER BY age"
    code, out, _ = emi("query", sql, "--with", f"own={tmp_path}/own.csv", "--format", "json")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows == [
        {"name": "ben", "age": 3, "clip_id": None},
        {"name": "anna", "age": 30, "clip_id": None},
    ]
    code, _, err = emi("query", f"FROM read_csv('{tmp_path}/own.csv')")
    assert code == 2
    assert "own.csv" in err


def test_an_answer_in_a_file(emi, store, tmp_path):
    for suffix in ("csv", "jsonl", "parquet"):
        assert emi("query", "SELECT 1 AS n, 'ü' AS x", "--output", tmp_path / f"a.{suffix}")[0] == 0
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "n,x\n1,ü\n"
    assert json.loads((tmp_path / "a.jsonl").read_text()) == {"n": 1, "x": "ü"}
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [{"n": 1, "x": "ü"}]
    assert emi("query", "SELECT 1 AS n", "--output", tmp_path / "b.csv", "--excel")[0] == 0
    assert (tmp_path / "b.csv").read_bytes() == b"\xef\xbb\xbfn\n1\n"


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--output", "a.xlsx"], "a.xlsx: no format for a file"),
        (["--output", "none/there/a.csv", "--format", "table"], "no format for a file"),
        (["--excel", "--format", "json"], "--excel writes CSV, not json"),
        (["--with", "scores=own.csv"], "there is a table scores already"),
    ],
)
def test_what_is_refused(emi, store, options, cause):
    code, out, err = emi("query", "SELECT 1", *options)
    assert (code, out) == (2, "")
    assert cause in err


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (
            "SELECT 1,\n  clip FROM labels",
            'Candidate bindings: "clip_id", "split"\nLINE 2:   clip FROM labels\n          ^^^^\n',
        ),
        ("FROM labls", 'Did you mean "labels"?\nLINE 1: FROM labls\n             ^^^^^\n'),
        ("SELECT 1 FRM labels", "LINE 1: SELECT 1 FRM labels\n                     ^^^^^^\n"),
    ],
)
def test_what_may_be_meant_is_shown_and_where(emi, store, sql, words):
    code, _, err = emi("query", sql)
    assert code == 2
    assert words in err
