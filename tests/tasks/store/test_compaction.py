from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.schema.scores import scores_schema
from tasks.schema.tables import COMPANIONS, SCORES, TIMELINE, WINDOWS
from tasks.scoring.commit import RunStamp
from tasks.store.compaction import MANY_SMALL_PARTS, compact
from tasks.store.paths import file_name
from tasks.store.queries.latest import APART_FROM
from tasks.store.store import ResultsStore
from tasks.store.views import VIEWS, connect
from tests.places import DISK_AND_BUCKET

Commit = Callable[..., None]
MakeStamp = Callable[..., RunStamp]
Shown = Callable[[Path], dict[str, tuple[float | None, list[float], list[float]]]]


def all_rows(root: str) -> dict[str, list[tuple[object, ...]]]:
    with connect(root) as connection:
        return {
            view: connection.sql(f"SELECT * FROM {view} ORDER BY ALL").fetchall() for view in VIEWS
        }


def names(store: ResultsStore) -> dict[str, list[str]]:
    return {table: [part.name for part in store.parts(table)] for table in (SCORES, *COMPANIONS)}


@pytest.fixture(scope="module")
def parts_made() -> dict[str, bytes]:
    """Return the files that `many` has committed, by name: the first test that wants them does."""
    return {}


@pytest.fixture
def many(
    store: ResultsStore,
    commit: Commit,
    make_stamp: MakeStamp,
    place_store: Callable[..., ResultsStore],
    parts_made: dict[str, bytes],
) -> ResultsStore:
    """Return a store of many small parts, among them two models and both coverages."""
    if parts_made:
        return place_store(store.location, parts_made)
    full = make_stamp(coverage="full")
    other = make_stamp(model_sha256="bb", targets=("Awe", "Joy"))
    for number in range(MANY_SMALL_PARTS - 3):
        commit(f"{number:02d}", f"{number}.mp4", "again.mp4", value=number / 100)
    commit("x", "0.mp4", "1.mp4", num_windows=2, stamp=full)
    commit("y", "0.mp4", "2.mp4", num_windows=1, stamp=other)
    commit("z", "bad.mp4", reason="timeout", flags=["silent"])
    parts = [part for table in (SCORES, *COMPANIONS) for part in store.parts(table)]
    parts_made.update((part.file, store.folder.read(part.file)) for part in parts)
    return store


@DISK_AND_BUCKET
class TestWorthIt:
    def test_many_small_parts_become_one_with_the_same_rows(self, many: ResultsStore) -> None:
        before = all_rows(many.location)
        assert compact(many, "merged")
        assert set(map(tuple, names(many).values())) == {("merged-00000",)}
        assert all_rows(many.location) == before
        assert len(before["all_timeline"]) == 2 * (14 + 4)
        assert many.read(many.parts(SCORES)[0]).num_rows == len(before["all_scores"]) == 19

    def test_a_damaged_part_stays_and_the_others_are_merged(self, many: ResultsStore) -> None:
        damaged = many.parts(SCORES)[0]
        many.folder.write(damaged.file, b"PAR1 torn")
        assert compact(many, "merged", superseded=True)
        assert set(names(many)[SCORES]) == {damaged.name, "merged-00000"}
        assert not compact(many, "again", superseded=True)

    def test_what_it_writes_is_under_the_schema(self, many: ResultsStore) -> None:
        compact(many, "merged")
        written = many.read(many.parts(SCORES)[0]).schema
        assert written.names == [*scores_schema().names, "awe", "awe_low", "awe_high"]
        for field in scores_schema():
            assert written.field(field.name).equals(field)
            assert written.field(field.name).metadata == field.metadata

    def test_it_can_be_done_again(self, many: ResultsStore, commit: Commit) -> None:
        compact(many, "merged")
        commit("new", "3.mp4", value=0.9)
        before = all_rows(many.location)
        assert compact(many, "merged2", superseded=True)
        many.recover()
        assert names(many)[SCORES] == ["merged2-00000"]
        assert all_rows(many.location) == before

    def test_rows_that_were_replaced_are_left_out(
        self, store: ResultsStore, commit: Commit, shown: Shown
    ) -> None:
        commit("one", "a.mp4", "b.mp4", value=0.1, num_windows=1)
        commit("two", "b.mp4", value=0.2, num_seconds=1)
        before = shown(store.location)
        assert compact(store, "merged", superseded=True)
        assert shown(store.location) == before
        counts = [store.read(store.parts(table)[0]).num_rows for table in (SCORES, TIMELINE)]
        assert counts == [2, 3]
        assert store.read(store.parts(WINDOWS)[0]).num_rows == 1

    def test_merged_parts_are_of_a_bounded_size_sorted_and_apart(
        self, many: ResultsStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = [part.size for part in many.parts(SCORES)]
        monkeypatch.setattr("tasks.store.compaction.PART_BYTES", sum(sizes[:5]))
        before = all_rows(many.location)
        assert compact(many, "merged")
        assert names(many)[SCORES] == ["merged-00000", "merged-00001", "merged-00002"]
        tables = [many.read(part) for part in many.parts(SCORES)]
        assert sum(table.num_rows for table in tables) == 19, "again.mp4 has a row in one of them"
        assert max(table.num_rows for table in tables) < 12
        columns = ("model_sha256", "coverage", "clip_id")
        keys = [
            key
            for table in tables
            for key in zip(*(table[c].to_pylist() for c in columns), strict=True)
        ]
        assert keys == sorted(keys)
        for table in tables:
            said = set(json.loads(table.schema.metadata[APART_FROM]))
            assert len(said & set(names(many)[SCORES])) == 2
        assert all_rows(many.location) == before

    def test_rows_sorted_range_by_range_come_in_full_row_groups(
        self, many: ResultsStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tasks.store.queries.merged.RANGE_ROWS", 3)
        monkeypatch.setattr("tasks.store.queries.merged.ROW_GROUP_ROWS", 4)
        before = all_rows(many.location)
        assert compact(many, "merged")
        assert all_rows(many.location) == before
        (scores,), (seconds,) = many.parts(SCORES), many.parts(TIMELINE)
        for part, num_rows in ((scores, 19), (seconds, 36)):
            found = pq.ParquetFile(pa.BufferReader(many.folder.read(part.file))).metadata
            sizes = [found.row_group(place).num_rows for place in range(found.num_row_groups)]
            assert sum(sizes) == num_rows
            assert set(sizes[:-1]) == {4}
        columns = ("model_sha256", "coverage", "clip_id", "second")
        rows = many.read(seconds).select(columns).to_pylist()
        assert [*map(tuple, map(dict.values, rows))] == sorted(map(tuple, map(dict.values, rows)))

    def test_all_parts_by_hand_once(self, many: ResultsStore, commit: Commit) -> None:
        assert compact(many, "one")
        commit("later", "0.mp4", value=0.9)
        commit("other", "new.mp4", value=0.9)
        before = all_rows(many.location)
        assert not compact(many, "two")
        assert compact(many, "three", whole=True)
        assert names(many)[SCORES] == ["three-00000"]
        assert all_rows(many.location) == before
        assert not compact(many, "four", whole=True), "there is nothing to gain"

    def test_new_clips_are_apart_from_large_parts_and_clips_scored_again_are_not(
        self, many: ResultsStore, commit: Commit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compact(many, "base")
        (base,) = many.parts(SCORES)
        monkeypatch.setattr("tasks.store.compaction.SMALL_PART_BYTES", base.size)
        for name, of in (("new", "new.mp4"), ("again", "0.mp4")):
            commit(f"{name}1", of)
            commit(f"{name}2", of)
            assert compact(many, name, superseded=True)
            (part,) = (part for part in many.parts(SCORES) if part.name == f"{name}-00000")
            said = json.loads(many.read(part).schema.metadata[APART_FROM])
            assert ("base-00000" in said) is (name == "new")
            monkeypatch.setattr("tasks.store.compaction.SMALL_PART_BYTES", part.size)

    def test_what_mostly_replaces_rows_is_merged_with_all(
        self, many: ResultsStore, commit: Commit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compact(many, "base")
        commit("again", *(f"{clip}.mp4" for clip in range(8)))
        largest = max(part.size for part in many.parts(SCORES))
        monkeypatch.setattr("tasks.store.compaction.PART_BYTES", largest)
        monkeypatch.setattr("tasks.store.compaction.SMALL_PART_BYTES", 1000)
        assert not compact(many, "none", superseded=True), "large, and less than half is loose"
        monkeypatch.setattr("tasks.store.compaction.LOOSE_SHARE", 0.1)
        before = all_rows(many.location)
        assert compact(many, "all", superseded=True)
        assert {name.partition("-")[0] for name in names(many)[SCORES]} == {"all"}
        assert all_rows(many.location) == before


@DISK_AND_BUCKET
class TestNotWorthIt:
    def test_few_parts(self, store: ResultsStore, commit: Commit) -> None:
        assert not compact(store, "merged")
        assert not compact(store, "merged", superseded=True)
        for number in range(MANY_SMALL_PARTS - 1):
            commit(f"{number:02d}", f"{number}.mp4")
        assert not compact(store, "merged")
        assert len(store.parts(SCORES)) == MANY_SMALL_PARTS - 1

    def test_large_parts(self, many: ResultsStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tasks.store.compaction.SMALL_PART_BYTES", 1000)
        before = names(many)
        assert not compact(many, "merged", superseded=True)
        assert names(many) == before


@DISK_AND_BUCKET
class TestKilled:
    def test_between_the_commit_and_the_removal(self, many: ResultsStore) -> None:
        before = all_rows(many.location)
        removed = [
            file_name(table, name)
            for name in names(many)[SCORES]
            for table in (SCORES, *COMPANIONS)
        ]
        kept = {file: many.folder.read(file) for file in removed if many.folder.exists(file)}
        compact(many, "merged")
        for num_removed in (len(kept) - 1, len(kept) - 2, len(kept) - 3, 1, 0):
            for file, content in list(kept.items())[num_removed:]:
                many.folder.write(file, content)
            assert all_rows(many.location) == before
        many.recover()
        assert set(map(tuple, names(many).values())) == {("merged-00000",)}
        assert all_rows(many.location) == before

    def test_before_its_scores_are_there(
        self, many: ResultsStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tasks.store.writers.ORPHAN_SECONDS", -10)
        before, parts = all_rows(many.location), names(many)
        copy = {
            part.file: many.folder.read(part.file)
            for table in (SCORES, *COMPANIONS)
            for part in many.parts(table)
        }
        compact(many, "merged")
        many.folder.remove(many.parts(SCORES)[0].file)
        for file, content in copy.items():
            many.folder.write(file, content)
        assert all_rows(many.location) == before
        many.recover()
        assert names(many) == parts
        assert all_rows(many.location) == before
