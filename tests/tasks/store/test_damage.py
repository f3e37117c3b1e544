"""Files of others and damaged parts in a store: passed over and named; the rest goes on."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pyarrow.dataset as ds
import pytest

from emi_model.errors import QueryError
from tasks.progress import take_remarks
from tasks.schema.scores import scores_schema
from tasks.schema.tables import COMPANIONS, SCORES, TIMELINE
from tasks.scoring.run_record import mark_killed
from tasks.storage.open import open_folder
from tasks.store.compaction import compact
from tasks.store.damage import damaged_parts
from tasks.store.query import answer
from tasks.store.store import DamagedPart, ResultsStore, create_store, open_store
from tests.places import DISK_AND_BUCKET

Commit = Callable[..., None]

CLIPS = "SELECT clip_id FROM scores ORDER BY ALL"


def clips(store: ResultsStore) -> list[str]:
    return [row["clip_id"] for row in answer(store.location, CLIPS).to_pylist()]


def change(store: ResultsStore, file: str, damage: Callable[[bytes], bytes]) -> None:
    store.folder.write(file, damage(store.folder.read(file)))


def flipped_at(position: int) -> Callable[[bytes], bytes]:
    """Return what flips a bit of a content, at a share of it in percent."""

    def flip(content: bytes) -> bytes:
        at = len(content) * position // 100
        return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]

    return flip


@pytest.fixture(autouse=True)
def no_remarks() -> None:
    take_remarks()


@DISK_AND_BUCKET
def test_names_of_others_are_passed_over(store: ResultsStore, commit: Commit) -> None:
    commit("one", "a.mp4")
    for table in (SCORES, TIMELINE):
        store.folder.write(f"{table}/._one.parquet", b"\0\5\26\7 of macOS")
        store.folder.write(f"{table}/.one.parquet", b"")
        store.folder.write(f"{table}/@eaDir/one.parquet", b"")
    store.folder.write(".staging/@eaDir/x", b"of a file server")
    create_store(store.location).recover()
    assert clips(store) == ["a.mp4"]
    assert answer(store.location, "SELECT count(*) AS n FROM timeline").to_pylist() == [{"n": 2}]
    assert [part.name for part in store.parts(SCORES)] == ["one"]
    assert take_remarks() == []


def test_a_plain_client_passes_them_over_too(store: ResultsStore, commit: Commit) -> None:
    commit("one", "a.mp4")
    store.folder.write("scores/._one.parquet", b"\0\5\26\7 of macOS")
    with duckdb.connect() as client:
        client.execute(store.folder.read("catalog.sql").decode())
        assert client.execute("SELECT clip_id FROM scores").fetchall() == [("a.mp4",)]


@DISK_AND_BUCKET
@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[:-9], lambda content: content[:50]],
    ids=["empty", "without an end", "cut"],
)
def test_a_damaged_part_is_named_and_the_rest_goes_on(
    damage: Callable[[bytes], bytes], store: ResultsStore, commit: Commit
) -> None:
    for name in ("one", "two"):
        commit(name, f"{name}.mp4")
    change(store, "scores/two.parquet", damage)
    create_store(store.location).recover()
    assert clips(store) == ["one.mp4"]
    (said,) = take_remarks()
    assert said.startswith(f"{store.location}/scores/two.parquet: damaged part, passed over (")
    rows = store.rows(SCORES, scores_schema(), ds.scalar(True), ["clip_id"])
    assert rows.to_pylist() == [{"clip_id": "one.mp4"}]
    assert store.num_damaged() == 1
    with pytest.raises(DamagedPart, match=r"two\.parquet: is damaged"):
        store.read(store.parts(SCORES)[1])
    assert store.folder.exists("timeline/two.parquet")


def test_damage_of_pages_is_found_when_they_are_read(store: ResultsStore, commit: Commit) -> None:
    for name in ("one", "two"):
        commit(name, *(f"{name}-{number}.mp4" for number in range(30)), num_windows=3)
    content = store.folder.read("scores/two.parquet")
    found = 0
    for position in range(1, 100, 5):
        store.folder.write("scores/two.parquet", flipped_at(position)(content))
        parts = damaged_parts(store.folder, store.parts(SCORES), whole=True)
        found += [part.part.name for part in parts] == ["two"]
        assert "one-0.mp4" in clips(store)
    assert found == 20
    store.folder.write("scores/two.parquet", content)
    assert len(clips(store)) == 60


def test_a_wrong_question_is_no_damage(store: ResultsStore, commit: Commit) -> None:
    commit("one", "a.mp4")
    with pytest.raises(QueryError, match="nosuch"):
        answer(store.location, "SELECT nosuch FROM scores")
    assert take_remarks() == []


def test_damage_is_not_merged_into_other_parts(store: ResultsStore, commit: Commit) -> None:
    for name in ("one", "two", "three"):
        commit(name, f"{name}.mp4", num_windows=1)
    change(store, "windows/two.parquet", lambda content: b"")
    assert compact(store, "merged", superseded=True)
    assert [part.name for part in store.parts(SCORES)] == ["merged-00000", "two"]
    assert clips(store) == ["one.mp4", "three.mp4", "two.mp4"]
    for table in COMPANIONS:
        assert store.folder.exists(f"{table}/two.parquet")


def test_a_damaged_record_of_a_run_stops_no_run(store: ResultsStore) -> None:
    store.folder.write("runs/killed.parquet", b"")
    mark_killed(store)
    assert store.folder.read("runs/killed.parquet") == b""


def test_a_damaged_empty_part_is_written_anew(store: ResultsStore, commit: Commit) -> None:
    commit("one", "a.mp4")
    store.folder.write("scores/empty.parquet", b"")
    open_store(store.location)
    assert clips(store) == ["a.mp4"]
    assert take_remarks() == []


@DISK_AND_BUCKET
def test_what_a_desktop_leaves_does_not_make_a_folder_foreign(store: ResultsStore) -> None:
    new = open_folder(f"{store.location}-new")
    for name in (".DS_Store", "Thumbs.db", "@eaDir", "._x", "lost+found"):
        new.write(name, b"of a desktop")
    assert create_store(new.uri).folder.exists("store.json")
