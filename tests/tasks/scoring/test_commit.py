from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from emi_model.errors import StoreError
from emi_model.targets import EMI_TARGETS
from tasks.schema.scores import (
    COSTS,
    NODE,
    NUMERICS,
    costed_schema,
    scores_schema,
    timeline_schema,
    windows_schema,
)
from tasks.schema.tables import SCORES, TIMELINE, WINDOWS
from tasks.scoring.commit import Committer, RunStamp, Tally, recounted, tables_of
from tasks.store.store import ResultsStore
from tests.places import DISK_AND_BUCKET

MakeRows = Callable[..., pa.Table]
MakeStamp = Callable[..., RunStamp]
Shown = Callable[[Path], dict[str, tuple[float | None, list[float], list[float]]]]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestSplit:
    def test_rows_become_three_tables(self, make_rows: MakeRows, make_stamp: MakeStamp) -> None:
        both = [
            make_rows("a.mp4", value=0.25, num_seconds=2, num_windows=1),
            make_rows("b.mp4", reason="timeout"),
            make_rows("c.mp4", value=0.75, num_seconds=1, num_windows=2),
        ]
        tables = tables_of(pa.concat_tables(both), make_stamp(coverage="full", run_id="run7"))
        assert tables[SCORES].schema.equals(scores_schema(), check_metadata=True)
        assert tables[TIMELINE].schema.equals(timeline_schema(), check_metadata=True)
        assert tables[WINDOWS].schema.equals(windows_schema(), check_metadata=True)
        assert tables[SCORES]["clip_id"].to_pylist() == ["a.mp4", "b.mp4", "c.mp4"]
        seconds = tables[TIMELINE].select(["clip_id", "second", "valence"]).to_pylist()
        assert [tuple(row.values()) for row in seconds] == [
            ("a.mp4", 0, 0.25),
            ("a.mp4", 1, 0.25),
            ("c.mp4", 0, 0.75),
        ]
        windows = tables[WINDOWS].select(["clip_id", "window_index", "joy"]).to_pylist()
        assert [tuple(row.values()) for row in windows] == [
            ("a.mp4", 0, 0.25),
            ("c.mp4", 0, 0.75),
            ("c.mp4", 1, 0.75),
        ]
        for table in tables.values():
            assert set(table["run_id"].to_pylist()) == {"run7"}
            assert set(table["coverage"].to_pylist()) == {"full"}
            assert set(table["model_sha256"].to_pylist()) == {"aa"}

    def test_slices_and_costs_do_not_matter(
        self, make_rows: MakeRows, make_stamp: MakeStamp
    ) -> None:
        rows = make_rows("a.mp4", "b.mp4", "c.mp4", num_seconds=2)
        for cost in COSTS:
            rows = rows.append_column(cost, pa.array([1, 2, 3], cost.type))
        rows = rows.append_column(NODE, pa.array(["one", "two", None]))
        rows = rows.append_column(NUMERICS, pa.array(["bf16", "fp32", None]))
        assert rows.schema.equals(costed_schema(EMI_TARGETS))
        tables = tables_of(rows.slice(1, 1), make_stamp())
        assert tables[SCORES]["clip_id"].to_pylist() == ["b.mp4"]
        assert tables[SCORES].schema.names == scores_schema().names
        assert tables[TIMELINE]["clip_id"].to_pylist() == ["b.mp4", "b.mp4"]
        nothing = tables_of(rows.slice(3), make_stamp())
        assert [table.num_rows for table in nothing.values()] == [0, 0, 0, 0]

    def test_other_targets(self, make_rows: MakeRows, make_stamp: MakeStamp) -> None:
        for targets in ((), ("Awe", "Sheer Joy")):
            rows = make_rows("a.mp4", num_windows=1, targets=targets)
            tables = tables_of(rows, make_stamp(targets=targets))
            assert tables[SCORES].schema.names == scores_schema(targets).names
            assert tables[WINDOWS].num_rows == 1

    def test_a_row_that_does_not_fit(self, make_rows: MakeRows, make_stamp: MakeStamp) -> None:
        with pytest.raises(StoreError, match="outside"):
            tables_of(make_rows("a.mp4", value=1.5), make_stamp())


class TestTally:
    def test_counts(self, make_rows: MakeRows) -> None:
        tally = Tally()
        assert (tally.done, tally.padding_share) == (0, 0.0)
        scored = make_rows("a.mp4", "b.mp4", num_seconds=3)
        scored = scored.append_column(NODE, pa.array(["node 1", "node 1"]))
        tally.add(scored.append_column(NUMERICS, pa.array(["bf16", "fp32"])))
        tally.add(make_rows("c.mp4", reason="timeout"))
        rows = make_rows("d.mp4", "e.mp4", reason="missing")
        for cost, values in zip(COSTS, ([0.5, 1], [2, 0], [60, 15], [80, 20]), strict=True):
            rows = rows.append_column(cost, pa.array(values, cost.type))
        tally.add(rows)
        assert (tally.scored, tally.rejected, tally.done) == (2, 3, 5)
        assert tally.reasons == {"timeout": 1, "missing": 2}
        assert tally.nodes == {"node 1": 2}
        assert tally.numerics == {"bf16": 1, "fp32": 1}
        assert (tally.audio_seconds, tally.extract_seconds, tally.score_seconds) == (6.0, 1.5, 2.0)
        assert (tally.model_samples, tally.padded_samples) == (75, 100)
        assert tally.padding_share == 0.25


class TestCommitter:
    def test_the_first_rows_at_once_and_the_rest_at_the_end(
        self, store: ResultsStore, make_rows: MakeRows, make_stamp: MakeStamp, shown: Shown
    ) -> None:
        tally = Tally()
        with Committer(store, make_stamp(), tally) as committer:
            committer.add(make_rows("a.mp4"))
            assert set(shown(store.location)) == {"a.mp4"}
            committer.add(make_rows("b.mp4"))
            committer.add(make_rows("c.mp4", "d.mp4", reason="timeout"))
            assert set(shown(store.location)) == {"a.mp4"}
            assert tally.done == 1
        assert set(shown(store.location)) == {"a.mp4", "b.mp4", "c.mp4", "d.mp4"}
        assert [part.name for part in store.parts(SCORES)] == ["run1-00000", "run1-00001"]
        assert (tally.scored, tally.rejected) == (2, 2)
        assert tally.commit_seconds > 0

    def test_rows_do_not_wait_for_others(
        self,
        store: ResultsStore,
        make_rows: MakeRows,
        make_stamp: MakeStamp,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("tasks.scoring.commit.COMMIT_SECONDS", 0.05)
        with Committer(store, make_stamp(), Tally()) as committer:
            for number in range(3):
                committer.add(make_rows(f"{number}.mp4"))
                wait_for(lambda expected=number + 1: len(store.parts(SCORES)) == expected)  # type: ignore[misc]
        assert len(store.parts(SCORES)) == 3

    def test_what_there_is_is_committed_when_the_block_fails(
        self, store: ResultsStore, make_rows: MakeRows, make_stamp: MakeStamp, shown: Shown
    ) -> None:
        def fail_between() -> None:
            with Committer(store, make_stamp(), Tally()) as committer:
                committer.add(make_rows("a.mp4"))
                committer.add(make_rows("b.mp4"))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail_between()
        assert set(shown(store.location)) == {"a.mp4", "b.mp4"}

    def test_nothing_was_added(self, store: ResultsStore, make_stamp: MakeStamp) -> None:
        with Committer(store, make_stamp(), Tally()):
            pass
        assert store.parts(SCORES) == []

    def test_a_commit_that_fails_ends_the_run(
        self, store: ResultsStore, make_rows: MakeRows, make_stamp: MakeStamp
    ) -> None:
        def commit_all(*values: float) -> None:
            with Committer(store, make_stamp(), Tally()) as committer:
                for value in values:
                    committer.add(make_rows(f"{value}.mp4", value=value))

        for number, values in enumerate([(1.5,), (0.5, 1.5)]):
            with pytest.raises(StoreError, match="outside"):
                commit_all(*values)
            assert len(store.parts(SCORES)) == number

    @DISK_AND_BUCKET
    def test_what_was_committed_counts_though_it_was_said_to_have_failed(
        self,
        store: ResultsStore,
        make_rows: MakeRows,
        make_stamp: MakeStamp,
        monkeypatch: pytest.MonkeyPatch,
        shown: Shown,
    ) -> None:
        commit, tally = store.commit, Tally()

        def lose_the_answer(*arguments: Any) -> None:
            commit(*arguments)
            raise StoreError("the network is down")

        monkeypatch.setattr(store, "commit", lose_the_answer)
        with pytest.raises(StoreError), Committer(store, make_stamp(), tally) as committer:
            committer.add(make_rows("a.mp4"))
        monkeypatch.setattr(store, "commit", commit)
        assert tally.done == 0
        with Committer(store, make_stamp(), tally) as committer:
            committer.add(make_rows("b.mp4", reason="timeout"))
        assert set(shown(store.location)) == {"a.mp4", "b.mp4"}
        for _ in range(2):
            assert recounted(tally, store, "run1") == {"a.mp4", "b.mp4"}
            assert (tally.scored, tally.rejected, tally.audio_seconds) == (1, 1, 2.0)
            assert tally.reasons == {"timeout": 1}
        assert recounted(tally, store, "run2") == set()

    def test_a_commit_that_fails_on_the_timer_is_raised_where_it_is_seen(
        self,
        store: ResultsStore,
        make_rows: MakeRows,
        make_stamp: MakeStamp,
        monkeypatch: pytest.MonkeyPatch,
        shown: Shown,
    ) -> None:
        monkeypatch.setattr("tasks.scoring.commit.COMMIT_SECONDS", 0.02)
        scores, away = store.folder.root / SCORES, store.folder.root / "away"

        def lose_the_disk_for_a_while(*, add_more: bool) -> None:
            with Committer(store, make_stamp(run_id=f"run{add_more}"), Tally()) as committer:
                committer.add(make_rows("a.mp4"))
                scores.rename(away)
                committer.add(make_rows("b.mp4"))
                wait_for(lambda: not committer._timer.is_alive())
                away.rename(scores)
                if add_more:
                    committer.add(make_rows("c.mp4"))

        for add_more in (False, True):
            with pytest.raises(StoreError, match="could not be written"):
                lose_the_disk_for_a_while(add_more=add_more)
            assert set(shown(store.location)) == {"a.mp4", "b.mp4"}
