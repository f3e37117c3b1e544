from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from emi_model.errors import StoreError
from tasks.provenance import new_run_id, package_versions, source_commit
from tasks.schema.runs import RUNS_SCHEMA
from tasks.schema.scores import NODE, NUMERICS
from tasks.schema.tables import RUNS
from tasks.scoring.commit import RunStamp, Tally
from tasks.scoring.run_record import RunRecord, RunState, ended, mark_killed, write_record
from tasks.store.query import answer
from tasks.store.store import ResultsStore
from tests.places import DISK_AND_BUCKET

MakeRows = Callable[..., pa.Table]
MakeStamp = Callable[..., RunStamp]

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def record(make_stamp: MakeStamp) -> RunRecord:
    started_at = datetime.now(UTC) - timedelta(seconds=100)
    return RunRecord(make_stamp(), "corpus", "auto", started_at, num_listed=6, num_skipped=3)


@pytest.fixture
def tally(make_rows: MakeRows) -> Tally:
    tally = Tally(extract_seconds=1.5, score_seconds=2.5, model_samples=75, padded_samples=100)
    rows = make_rows("a.mp4", num_seconds=3600)
    rows = rows.append_column(NODE, pa.array(["node 1"]))
    tally.add(rows.append_column(NUMERICS, pa.array(["bf16"])))
    tally.add(make_rows("b.mp4", "c.mp4", reason="timeout"))
    return tally


def stored(store: ResultsStore) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = answer(store.location, "FROM runs ORDER BY run_id").to_pylist(
        maps_as_pydicts="strict"
    )
    return rows


class TestRecord:
    @DISK_AND_BUCKET
    def test_what_is_written_is_what_is_read(
        self, store: ResultsStore, record: RunRecord, tally: Tally
    ) -> None:
        row = write_record(store, ended(record, RunState.COMPLETED), tally)
        assert list(row) == RUNS_SCHEMA.names
        assert stored(store) == [row]
        assert (row["run_id"], row["state"], row["source"]) == ("run1", "completed", "corpus")
        assert (row["num_scored"], row["num_rejected"], row["reasons"]) == (1, 2, {"timeout": 2})
        assert (row["nodes"], row["numerics"]) == ({"node 1": 1}, {"bf16": 1})
        assert (row["audio_seconds"], row["padding_share"]) == (3600.0, 0.25)
        assert row["wall_seconds"] == pytest.approx(100, abs=5)
        assert row["audio_hours_per_hour"] == pytest.approx(36, rel=0.06)
        assert row["finished_at"] - row["started_at"] == timedelta(seconds=row["wall_seconds"])
        assert {"emi", "python", "torch", "ffmpeg", "ray", "prefect"} <= set(row["versions"])

    @DISK_AND_BUCKET
    def test_a_run_has_one_row_from_its_start_to_its_end(
        self, store: ResultsStore, record: RunRecord, tally: Tally
    ) -> None:
        row = write_record(store, record, Tally())
        assert (row["state"], row["finished_at"], row["num_scored"]) == ("running", None, 0)
        write_record(store, ended(record, RunState.FAILED, "no space left"), tally)
        (found,) = stored(store)
        assert (found["state"], found["message"]) == ("failed", "no space left")
        assert found["num_scored"] == 1

    def test_listed_is_scored_and_rejected_and_skipped(
        self, record: RunRecord, tally: Tally
    ) -> None:
        record.check_counts(tally)
        for lost in (replace(record, num_listed=7), replace(record, num_skipped=4)):
            with pytest.raises(StoreError, match="but scored 1, rejected 2 and skipped"):
                lost.check_counts(tally)


class TestKilled:
    def test_runs_that_never_said_how_they_ended(
        self, store: ResultsStore, record: RunRecord, tally: Tally, make_stamp: MakeStamp
    ) -> None:
        write_record(store, ended(record, RunState.COMPLETED), tally)
        before = write_record(store, replace(record, stamp=make_stamp(run_id="run2")), tally)
        assert mark_killed(store)
        assert not mark_killed(store)
        completed, killed = stored(store)
        assert completed["state"] == "completed"
        assert killed == before | {"state": "killed"}
        written = store.read(store.parts(RUNS)[1]).schema
        assert written.field("wall_seconds").metadata[b"unit"] == b"s"

    def test_an_empty_store(self, store: ResultsStore) -> None:
        assert not mark_killed(store)
        assert stored(store) == []


def test_run_ids_sort_by_time_and_are_names_of_files() -> None:
    first = new_run_id()
    time.sleep(0.01)
    later = [new_run_id() for _ in range(20)]
    assert all(first < run_id for run_id in later)
    assert len(set(later)) == 20
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{9}", first)


def test_versions() -> None:
    found = package_versions()
    assert found.keys() >= {"emi", "python", "torch", "transformers", "ffmpeg"}
    assert all(found.values())


class TestSourceCommit:
    def test_of_this_checkout(self) -> None:
        if not (PROJECT / ".git").is_dir():
            assert source_commit() is None
            return
        said = subprocess.run(
            ["git", "-C", PROJECT, "rev-parse", "HEAD"], capture_output=True, check=True, text=True
        )
        assert source_commit() == said.stdout.strip()

    @pytest.mark.parametrize(
        ("files", "commit"),
        [
            ({}, None),
            ({".git/HEAD": "abc123\n"}, "abc123"),
            ({".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": "abc123\n"}, "abc123"),
            ({".git/HEAD": "ref: refs/heads/main\n"}, None),
            (
                {
                    ".git/HEAD": "ref: refs/heads/main\n",
                    ".git/packed-refs": "# x\n111 refs/heads/not/main\nabc refs/heads/main\n",
                },
                "abc",
            ),
            ({".git/HEAD": "ref: refs/heads/new\n", ".git/packed-refs": "# pack-refs\n"}, None),
            ({".git": "gitdir: elsewhere\n"}, None),
        ],
    )
    def test_of_any_checkout(
        self,
        files: dict[str, str],
        commit: str | None,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        monkeypatch.setattr("tasks.provenance.__file__", str(tmp_path / "tasks" / "provenance.py"))
        assert source_commit() == commit
