"""A store in a bucket: several runs write at once, any of them may be killed, nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from emi_model.errors import StoreError
from tasks.corpus.done import done_clips
from tasks.schema.tables import ATTRIBUTIONS, COMPANIONS, SCORES, TABLES, TIMELINE, WINDOWS
from tasks.scoring.commit import RunStamp, Tally, tables_of
from tasks.scoring.run_record import RunRecord, mark_killed, write_record
from tasks.storage.buckets import BucketFolder
from tasks.store.compaction import compact
from tasks.store.query import answer
from tasks.store.store import ResultsStore, create_store, open_store
from tasks.store.writers import ALIVE
from tests.faulty_bucket import FaultyBucket

Commit = Callable[..., None]
MakeRows = Callable[..., pa.Table]
MakeStamp = Callable[..., RunStamp]
Shown = Callable[[str], dict[str, tuple[float | None, list[float], list[float]]]]


@pytest.fixture
def store(bucket: str, place_store: Callable[..., ResultsStore]) -> ResultsStore:
    return place_store(f"{bucket}/below/store")


class Killed(BaseException):
    """Nothing of the program runs any more."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that ends whatever is done when so many requests have changed the bucket.

    Every request is whole or nothing, and nothing is cleaned up behind it: so this leaves what
    kill -9 leaves.
    """
    left = [-1]

    def counted(change: Callable[..., None]) -> Callable[..., None]:
        def changed(*arguments: Any) -> None:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            change(*arguments)

        return changed

    for name in ("write", "create", "remove"):
        monkeypatch.setattr(BucketFolder, name, counted(getattr(BucketFolder, name)))
    monkeypatch.setattr("tasks.store.writers.WRITES_AT_ONCE", 1)

    def start(number: int) -> None:
        left[0] = number

    return start


class TestCreation:
    def test_all_that_a_store_has(self, bucket: str) -> None:
        store = create_store(f"{bucket}/below/store")
        expected = {"store.json", "catalog.sql", *(f"{table}/empty.parquet" for table in TABLES)}
        assert {file.name for file in store.folder.files()} == expected
        assert open_store(store.location).location == store.location

    def test_where_its_logs_are(
        self, store: ResultsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMI_HOME", str(tmp_path))
        assert open_store(store.location).logs == tmp_path / "logs"

    def test_many_at_once(self, bucket: str) -> None:
        places = [f"{bucket}/store"] * 6
        with ThreadPoolExecutor(6) as pool:
            stores = list(pool.map(create_store, places))
        assert answer(stores[0].location, "FROM scores").num_rows == 0

    def test_what_a_killed_creation_leaves_is_completed(
        self, bucket: str, kill_at: Callable[[int], None]
    ) -> None:
        for number in range(len(TABLES) + 3):
            kill_at(number)
            try:
                create_store(f"{bucket}/{number}")
            except Killed:
                kill_at(-1)
                create_store(f"{bucket}/{number}")
            assert answer(f"{bucket}/{number}", "FROM labels").num_rows == 0
        assert number > len(TABLES) + 1

    def test_a_place_of_other_things_is_left_alone(self, bucket: str) -> None:
        BucketFolder(bucket).write("thesis/text.txt", b"mine")
        for location in (bucket, f"{bucket}/thesis"):
            with pytest.raises(StoreError, match="holds other files"):
                create_store(location)
        assert [file.name for file in BucketFolder(bucket).files()] == ["thesis/text.txt"]

    def test_one_line_says_what_is_wrong(
        self, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tasks.storage.buckets.MAX_RETRIES", 0)
        with pytest.raises(StoreError, match="no results store here"):
            open_store(f"{bucket}/none")
        with pytest.raises(StoreError, match=r"cannot be made a results store: .* bucket"):
            create_store("s3://no-such-bucket/store")
        with pytest.raises(StoreError, match=r"cannot be read: .*Account must be specified"):
            open_store("az://container/store")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        for use in (open_store, create_store, lambda place: answer(place, "FROM scores")):
            with pytest.raises(StoreError, match=r"http://127\.0\.0\.1:1") as caught:
                use("s3://unreachable-store/x")
            assert "\n" not in str(caught.value)

    def test_who_may_not_read_is_told(self, faulty: FaultyBucket) -> None:
        faulty.faults["store/store.json"] = (403, "AccessDenied")
        with pytest.raises(StoreError, match=r"cannot be read: .*403 Forbidden") as caught:
            open_store(f"{faulty.uri}/store")
        assert "\n" not in str(caught.value)


class TestKilled:
    def test_at_any_request(
        self,
        bucket: str,
        kill_at: Callable[[int], None],
        make_rows: MakeRows,
        make_stamp: MakeStamp,
        shown: Shown,
        place_store: Callable[..., ResultsStore],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("tasks.store.writers.ORPHAN_SECONDS", -10)
        one = tables_of(make_rows("a.mp4", "b.mp4", value=0.1), make_stamp())
        two = tables_of(make_rows("b.mp4", "c.mp4", value=0.2), make_stamp())
        first = {"a.mp4": (0.1, [0.1, 0.1], []), "b.mp4": (0.1, [0.1, 0.1], [])}
        second = {**first, "b.mp4": (0.2, [0.2, 0.2], []), "c.mp4": (0.2, [0.2, 0.2], [])}
        seen, number, over = [], 0, False
        while not over:
            store = place_store(f"{bucket}/{number}")
            kill_at(number)
            try:
                store.commit("one", one)
                store.commit("two", two)
                over = compact(store, "merged", superseded=True)
            except Killed:
                pass
            kill_at(-1)
            if number % 2:  # before or after, by turns: it changes nothing that is shown
                store.recover()
            now = shown(store.location)
            assert now in ({}, first, second)
            store.recover()
            names = [{part.name for part in store.parts(table)} for table in (SCORES, TIMELINE)]
            assert names[0] == names[1]
            seen.append(now)
            number += 1
        assert sorted(seen, key=[{}, first, second].index) == seen
        assert min(seen.count(now) for now in ({}, first, second)) >= 2
        assert names[0] == {"merged-00000"}


class TestLiveWriters:
    def test_what_another_is_about_to_commit_stays(
        self, store: ResultsStore, make_rows: MakeRows, make_stamp: MakeStamp, shown: Shown
    ) -> None:
        tables = tables_of(make_rows("a.mp4", num_windows=1), make_stamp())
        for table in COMPANIONS:
            store.writer.put(f"{table}/one.parquet", tables[table])
        store.recover()
        store.commit("one", tables)
        assert shown(store.location) == {"a.mp4": (0.5, [0.5, 0.5], [0.5])}

    def test_its_record_says_that_it_runs(
        self, store: ResultsStore, make_stamp: MakeStamp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = RunRecord(make_stamp(), "corpus", "auto", datetime.now(UTC))
        write_record(store, record, Tally())
        with store.lock(), store.alive("run1"), store.lock():
            mark_killed(store)
            assert states(store) == {"run1": "running"}
            monkeypatch.setattr("tasks.store.writers.SILENT_SECONDS", -10)
            mark_killed(store)
            assert states(store) == {"run1": "killed"}
        assert not list(store.folder.files(ALIVE))

    def test_a_silent_one_was_killed(
        self, store: ResultsStore, make_stamp: MakeStamp, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tasks.store.writers.SILENT_SECONDS", -10)
        record = RunRecord(make_stamp(), "corpus", "auto", datetime.now(UTC))
        write_record(store, record, Tally())
        write_record(store, replace(record, stamp=make_stamp(run_id="run2")), Tally())
        for run_id in ("run1", "run that had no record yet"):
            store.folder.write(f"{ALIVE}/{run_id}", b"")
        mark_killed(store)
        assert states(store) == {"run1": "killed", "run2": "running"}
        assert not list(store.folder.files(ALIVE))

    def test_it_shows_again_and_again_that_it_is_alive(
        self, store: ResultsStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tasks.store.writers.PULSE_SECONDS", 0.01)
        shown, write = threading.Semaphore(0), BucketFolder.write

        def noted(folder: BucketFolder, name: str, content: bytes) -> None:
            write(folder, name, content)
            shown.release()
            if name == f"{ALIVE}/run1":
                raise OSError("the network is down for a moment")

        with store.alive("run1"):
            monkeypatch.setattr(BucketFolder, "write", noted)
            assert all(shown.acquire(timeout=10) for _ in range(3))
        assert not list(store.folder.files(ALIVE))

    def test_its_clips_are_shown_once_whoever_else_scores_them(
        self, store: ResultsStore, commit: Commit, make_stamp: MakeStamp, shown: Shown
    ) -> None:
        def write(run_id: str) -> None:
            for number in range(3):
                names = (f"{number}.mp4", f"{run_id}.mp4")
                commit(f"{run_id}-{number}", *names, stamp=make_stamp(run_id=run_id))

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(write, ("x", "y", "z")))
        names = ("0.mp4", "1.mp4", "2.mp4", "x.mp4", "y.mp4", "z.mp4")
        assert shown(store.location) == dict.fromkeys(names, (0.5, [0.5, 0.5], []))


class TestManyFiles:
    def test_a_question_touches_only_the_tables_that_it_names(
        self, store: ResultsStore, commit: Commit
    ) -> None:
        commit("one", "a.mp4")
        store.folder.write("runs/torn.parquet", b"PAR1 torn")
        assert answer(store.location, "SELECT count(*) AS n FROM scores").to_pylist() == [{"n": 1}]
        assert answer(store.location, "FROM within.current_timeline").num_rows == 2
        assert answer(store.location, "SELECT 1").num_rows == 1

    def test_a_name_in_pieces_is_understood(self, store: ResultsStore, commit: Commit) -> None:
        commit("one", "a.mp4")
        assert answer(store.location, "FROM query_table('sco' || 'res')").num_rows == 1

    def test_the_answers_are_the_same_where_little_or_nothing_is_kept(
        self,
        store: ResultsStore,
        commit: Commit,
        shown: Shown,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in ("one", "two"):
            commit(name, f"{name}.mp4", num_windows=1)
        before = shown(store.location)
        done = done_clips(store, "aa", "first")
        for most in (20_000, 0):
            monkeypatch.setattr("tasks.store.mirror.MAX_MIRROR_BYTES", most)
            for _ in range(2):
                assert shown(store.location) == before
                assert done_clips(store, "aa", "first") == done
        assert len(before) == len(done) == 2

    def test_a_part_is_fetched_once_whatever_is_asked(
        self, store: ResultsStore, commit: Commit, shown: Shown, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("one", "two"):
            commit(name, f"{name}.mp4", num_windows=1)
        fetched, fetch = [], BucketFolder.chunks

        def noted(folder: BucketFolder, name: str) -> Iterator[bytes]:
            fetched.append(name)
            return fetch(folder, name)

        monkeypatch.setattr(BucketFolder, "chunks", noted)
        store.recover()
        assert len(shown(store.location)) == len(done_clips(store, "aa", "first")) == 2
        assert answer(store.location, "FROM scores JOIN windows USING (clip_id)").num_rows == 2
        assert sorted(fetched) == sorted(set(fetched))
        before = list(fetched)
        commit("three", "three.mp4", num_windows=1)
        assert len(shown(store.location)) == 3
        assert sorted(set(fetched) - set(before)) == [
            f"{table}/three.parquet" for table in (ATTRIBUTIONS, SCORES, TIMELINE, WINDOWS)
        ]


def states(store: ResultsStore) -> dict[str, str]:
    rows = answer(store.location, "SELECT run_id, state FROM runs").to_pylist()
    return {row["run_id"]: row["state"] for row in rows}
