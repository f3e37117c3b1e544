"""Compactions of one store in a bucket at once, and reads while they go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pyarrow as pa
import pytest

from emi_model.errors import StoreError
from tasks.corpus.done import done_clips
from tasks.schema.tables import SCORES
from tasks.scoring.commit import RunStamp
from tasks.storage.buckets import BucketFolder
from tasks.store import compaction
from tasks.store.compaction import compact
from tasks.store.paths import Part, PartsChanged
from tasks.store.query import answer
from tasks.store.store import ResultsStore, create_store, open_store

Commit = Callable[..., None]
MakeStamp = Callable[..., RunStamp]
Shown = Callable[[str], dict[str, tuple[float | None, list[float], list[float]]]]


@pytest.fixture
def store(bucket: str) -> ResultsStore:
    return create_store(f"{bucket}/store")


@pytest.fixture
def merge(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return a function that has something done between a compaction's reading and its commit."""
    read = compaction._merged

    def between(do: Callable[[], object]) -> None:
        def merged(*reading: Any) -> dict[str, Any]:
            rows = whole(read(*reading))
            monkeypatch.setattr(compaction, "_merged", read)
            do()
            return rows

        monkeypatch.setattr(compaction, "_merged", merged)

    return between


def whole(tables: dict[str, Any]) -> dict[str, pa.Table]:
    """Return tables that are read by now."""
    return {
        table: rows if isinstance(rows, pa.Table) else rows.read_all()
        for table, rows in tables.items()
    }


def parts(store: ResultsStore) -> list[str]:
    return [part.name for part in store.parts(SCORES)]


def test_two_at_once_lose_nothing(
    store: ResultsStore, commit: Commit, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        commit(str(number), f"{number}.mp4", "again.mp4", value=number / 10, num_windows=1)
    before, read, both = shown(store.location), compaction._merged, Barrier(2)

    def merged(*reading: Any) -> dict[str, pa.Table]:
        rows = whole(read(*reading))
        both.wait(20)
        return rows

    monkeypatch.setattr(compaction, "_merged", merged)
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(compact, open_store(store.location), name, superseded=True)
            for name in ("one", "two")
        ]
        assert all(run.result() for run in runs)
    assert parts(store) == ["one-00000", "two-00000"]
    assert shown(store.location) == before
    monkeypatch.setattr(compaction, "_merged", read)
    assert compact(store, "three", superseded=True)
    assert (parts(store), shown(store.location)) == (["three-00000"], before)


def test_the_second_leaves_what_the_first_has_merged(
    store: ResultsStore, commit: Commit, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        commit(str(number), f"{number}.mp4")
    before, merge_parts = shown(store.location), compaction._merge

    def late(*merging: Any) -> None:
        monkeypatch.setattr(compaction, "_merge", merge_parts)
        assert compact(store, "first", superseded=True)
        merge_parts(*merging)

    monkeypatch.setattr(compaction, "_merge", late)
    assert not compact(store, "second", superseded=True)
    assert (parts(store), shown(store.location)) == (["first-00000"], before)


def test_a_row_is_never_left_to_a_part_that_another_is_merging(
    store: ResultsStore,
    commit: Commit,
    make_stamp: MakeStamp,
    shown: Shown,
    merge: Callable[[Callable[[], object]], None],
) -> None:
    """A row has copies in s and z. One run merges s, meanwhile others merge z, and that again.

    Were rows left out that stand in other parts as well, the one would count on z, which goes, the
    last on s, which goes too.
    """
    stamp = make_stamp()
    commit("s", "a.mp4", "s.mp4", stamp=stamp)
    store.folder.write("scores/z.parquet", store.folder.read("scores/s.parquet"))
    store.folder.write("timeline/z.parquet", store.folder.read("timeline/s.parquet"))
    before = shown(store.location)

    def others() -> None:
        for name, of in (("b", "z"), ("c", "b-00000")):
            compaction._merge(store, name, SCORES, parts_named(of))

    def parts_named(name: str) -> list[Part]:
        return [part for part in store.parts(SCORES) if part.name == name]

    merge(others)
    compaction._merge(store, "d", SCORES, parts_named("s"))
    assert parts(store) == ["c-00000", "d-00000"]
    assert shown(store.location) == before


def test_a_question_goes_on_when_its_parts_are_merged(
    store: ResultsStore, commit: Commit, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        commit(str(number), f"{number}.mp4", num_windows=1)
    before, done = shown(store.location), done_clips(store, "aa", "first")
    fetch, names = BucketFolder.chunks, iter(("one", "two", "three"))

    def ask_while(use: Callable[[], Any]) -> Any:
        """Merge everything the moment that the first part is fetched."""
        commit("more", "0.mp4")

        def read(folder: BucketFolder, name: str) -> Iterator[bytes]:
            if name.startswith("scores/") and "empty" not in name:
                monkeypatch.setattr(BucketFolder, "chunks", fetch)
                assert compact(store, next(names), superseded=True)
            return fetch(folder, name)

        monkeypatch.setattr(BucketFolder, "chunks", read)
        return use()

    count = "SELECT count(*) AS n FROM timeline"
    assert ask_while(lambda: answer(store.location, count)).to_pylist() == [{"n": 6}]
    assert ask_while(lambda: done_clips(store, "aa", "first")).keys() == done.keys()
    with pytest.raises(PartsChanged, match="compacted away") as caught:
        ask_while(lambda: shown(store.location))
    assert isinstance(caught.value, StoreError)
    assert shown(store.location).keys() == before.keys()


def test_parts_that_come_and_go_while_they_are_listed(
    store: ResultsStore, commit: Commit, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        commit(str(number), f"{number}.mp4", num_windows=1)
    before, listed = shown(store.location), BucketFolder.files

    def files(folder: BucketFolder, below: str = "") -> Any:
        if below == "timeline":
            monkeypatch.setattr(BucketFolder, "files", listed)
            assert compact(store, "merged", superseded=True)
        return listed(folder, below)

    monkeypatch.setattr(BucketFolder, "files", files)
    assert shown(store.location) == before
    monkeypatch.setattr("tasks.store.paths.MAX_LISTINGS", 0)
    with pytest.raises(StoreError, match="changed all the time"):
        shown(store.location)
