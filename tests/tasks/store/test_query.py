from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import QueryError, StoreError
from tasks.schema.scores import scores_schema
from tasks.scoring.commit import RunStamp, Tally
from tasks.scoring.run_record import RunRecord, RunState, ended, write_record
from tasks.storage.formats import write_json_lines
from tasks.store.query import answer, stored_question, stored_question_names, write
from tasks.store.store import ResultsStore
from tasks.store.views import VIEWS, connect
from tests.places import DISK_AND_BUCKET

Commit = Callable[..., None]
MakeRows = Callable[..., pa.Table]
MakeStamp = Callable[..., RunStamp]
Captured = pytest.CaptureFixture[str]


@DISK_AND_BUCKET
class TestAnswer:
    @pytest.mark.parametrize(
        ("sql", "rows"),
        [
            ("SELECT clip_id FROM scores ORDER BY clip_id DESC", [["b.mp4"], ["a.mp4"]]),
            ("FROM timeline SELECT count(*);", [[4]]),
            ("-- how many?\nSELECT count(*) FROM scores -- these", [[2]]),
            ("WITH x AS (SELECT 1 AS n) SELECT n, 'ä;é' AS \"ü\" FROM x", [[1, "ä;é"]]),
            ("VALUES (1), (2)", [[1], [2]]),
            ("SELECT 1 AS a, 2 AS a", [[1, 2]]),
            ("SELECT clip_id FROM rejections", []),
        ],
    )
    def test_a_select(
        self, sql: str, rows: list[list[Any]], store: ResultsStore, commit: Commit
    ) -> None:
        commit("part", "a.mp4", "b.mp4")
        found = answer(store.location, sql)
        assert [list(row.values()) for row in found.to_pylist()] == rows
        assert len(set(found.schema.names)) == len(found.schema.names)

    def test_the_store_may_describe_itself(self, store: ResultsStore) -> None:
        described = answer(store.location, "DESCRIBE scores")
        assert described["column_name"].to_pylist() == scores_schema().names
        shown = answer(store.location, "SHOW TABLES")["name"].to_pylist()
        assert shown == sorted(VIEWS)  # none that is made for others

    def test_status(
        self, store: ResultsStore, commit: Commit, make_stamp: MakeStamp, make_rows: MakeRows
    ) -> None:
        commit("one", "a.mp4", "b.mp4", num_seconds=1800)
        commit("two", "b.mp4", "c.mp4", reason="timeout")
        commit("three", "a.mp4", stamp=make_stamp(model="large", model_sha256="bb"))
        rows = answer(store.location, stored_question("status")).to_pylist()
        told = ("model", "clips", "scored", "rejected", "audio_hours", "backbone_licence")
        assert [tuple(row[name] for name in told) for row in rows] == [
            ("large", 1, 1, 0, 0.001, "MIT"),
            ("tiny", 3, 1, 2, 0.5, "MIT"),
        ]

    def test_latest_runs(self, store: ResultsStore, make_stamp: MakeStamp) -> None:
        for day in range(1, 13):
            stamp = make_stamp(run_id=f"run{day}")
            record = RunRecord(stamp, "corpus", "auto", datetime(2026, 1, day, tzinfo=UTC))
            write_record(store, ended(record, RunState.COMPLETED), Tally())
        rows = answer(store.location, stored_question("latest_runs")).to_pylist()
        assert [row["run_id"] for row in rows] == [f"run{day}" for day in range(12, 2, -1)]
        assert {row["state"] for row in rows} == {"completed"}


def test_stored_questions_have_answers(
    store: ResultsStore, commit: Commit, make_stamp: MakeStamp
) -> None:
    """Of an empty store no row; of any store the same columns."""
    empty = tables_of_questions(store)
    assert {name: table.num_rows for name, table in empty.items() if table.num_rows} == {}
    commit("part", "a.mp4", "b/c.mp4")
    write_record(store, RunRecord(make_stamp(), "corpus", "auto", datetime.now(UTC)), Tally())
    filled = tables_of_questions(store)
    assert len(filled) > 20
    assert {name: table.schema for name, table in filled.items()} == {
        name: table.schema for name, table in empty.items()
    }


def tables_of_questions(store: ResultsStore) -> dict[str, pa.Table]:
    """All answers by one opening, which costs more than an answer."""
    with connect(store.location) as connection:
        return {
            name: connection.sql(stored_question(name)).to_arrow_table()
            for name in stored_question_names()
        }


def test_a_question_of_bytes_that_are_no_text_is_said(store: ResultsStore) -> None:
    with pytest.raises(QueryError, match=r"no UTF-8 \(byte 0xff after \"SELECT 'caf\""):
        answer(store.location, "SELECT 'caf\udcff'")


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no results store here"):
        answer(tmp_path, "SELECT 1")
    assert list(tmp_path.iterdir()) == []


class TestFormats:
    @pytest.fixture
    def table(self, store: ResultsStore, commit: Commit) -> pa.Table:
        commit("one", "a.mp4", 'b "quoted", ü.mp4', flags=["silent", "clipped"])
        commit("two", "c\nd.mp4", reason="timeout")
        return answer(store.location, "SELECT * FROM scores ORDER BY clip_id")

    def test_json_lines_have_the_stores_columns(self, table: pa.Table, capsys: Captured) -> None:
        write(table, "json")
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [list(row) for row in rows] == [scores_schema().names] * 3
        expected = table.drop_columns(["scored_at"]).to_pylist()
        times = [datetime.fromisoformat(row.pop("scored_at")) for row in rows]
        assert rows == expected
        assert times == table["scored_at"].to_pylist()

    def test_json_of_what_json_does_not_have(self, store: ResultsStore, capsys: Captured) -> None:
        sql = (
            "SELECT sum(n) AS total, 1.50 AS price, 'nan'::DOUBLE AS nan, '-inf'::FLOAT AS inf, "
            "DATE '2026-01-02' AS day, TIMESTAMP '2026-01-02 03:04:05' AS at, MAP {'a': 1} AS map, "
            "uuid() IS NULL AS flag, '\\xAA'::BLOB AS bytes FROM range(4) AS r(n)"
        )
        write(answer(store.location, sql), "json")
        assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
            "total": 6,
            "price": 1.5,
            "nan": None,
            "inf": None,
            "day": "2026-01-02",
            "at": "2026-01-02T03:04:05",
            "map": {"a": 1},
            "flag": False,
            "bytes": r"b'\xaa'",
        }

    def test_csv(self, table: pa.Table, capsys: Captured) -> None:
        write(table, "csv")
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert [list(row) for row in rows] == [scores_schema().names] * 3
        assert [row["clip_id"] for row in rows] == table["clip_id"].to_pylist()
        assert [row["reason"] for row in rows] == ["", "", "timeout"]
        assert [float(row["joy"] or "nan") for row in rows[:2]] == [0.5, 0.5]
        assert [json.loads(row["flags"]) for row in rows] == table["flags"].to_pylist()

    def test_parquet(self, table: pa.Table, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        write(table, "parquet")
        found = pq.read_table(io.BytesIO(capfdbinary.readouterr().out))
        assert found.to_pylist() == table.to_pylist()
        assert found.schema.names == scores_schema().names

    def test_parquet_is_not_for_a_terminal(
        self, table: pa.Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        controller, terminal = os.openpty()
        with os.fdopen(controller), os.fdopen(terminal, "w") as screen:
            monkeypatch.setattr(sys, "stdout", screen)
            with pytest.raises(QueryError, match="parquet is binary: send it to a file"):
                write(table, "parquet")

    @pytest.mark.parametrize("wanted", ["csv", "json"])
    def test_no_rows(self, wanted: Any, store: ResultsStore, capsys: Captured) -> None:
        write(answer(store.location, "SELECT clip_id FROM scores"), wanted)
        said = capsys.readouterr().out
        assert said == {"csv": "clip_id\n", "json": ""}[wanted]

    def test_rows_need_no_table(self) -> None:
        out = io.StringIO()
        write_json_lines(({"clip_id": name, "flags": []} for name in ("ü", None)), out)
        assert out.getvalue() == '{"clip_id": "ü", "flags": []}\n{"clip_id": null, "flags": []}\n'
