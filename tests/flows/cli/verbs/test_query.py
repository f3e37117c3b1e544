"""`emi query`, called as a shell would."""

import json
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from tasks.scoring.commit import RunStamp, Tally
from tasks.scoring.run_record import RunRecord, write_record
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
    assert "`emi metadata add FILE` keeps it beside the scores" in err


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


def test_the_status_as_json_has_the_runs(emi, store):
    assert emi("status", "--json") == (0, "", "")
    stamp = RunStamp("tiny", "aa", "first", "r1", "MIT", ())
    record = RunRecord(stamp, "corpus", "auto", datetime.now(UTC))
    write_record(create_store(store), record, Tally())
    code, out, _ = emi("status", "--json")
    (run,) = map(json.loads, out.splitlines())
    assert (code, run["table"], run["run_id"]) == (0, "runs", "r1")


def test_a_table_of_what_python_has_not_and_of_names_that_would_be_obeyed(emi, store):
    sql = "SELECT TIMESTAMP 'infinity' AS \"\x1b[2Jend\", '[b]' || chr(27) || ':smile:' AS name"
    code, out, _ = emi("query", sql)
    assert (code, "\x1b" in out) == (0, False)
    for shown in (r"\x1b[2Jend", r"[b]\x1b:smile:"):
        assert shown in out
