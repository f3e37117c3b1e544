"""`verify` finds every change of a part, and names its clips."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.schema.tables import COMPANIONS, SCORES
from tasks.scoring.commit import RunStamp, Tally
from tasks.scoring.run_record import RunRecord, write_record
from tasks.store.query import answer
from tasks.store.store import ResultsStore
from tasks.store.verify import ASIDE, Scored, scored_by, set_aside, verify
from tests.places import DISK_AND_BUCKET

Commit = Callable[..., None]

CLIPS = tuple(f"{number:02}.mp4" for number in range(20))


def found(store: ResultsStore) -> list[tuple[str, tuple[str, ...] | None]]:
    return [(finding.part.file, finding.clip_ids) for finding in verify(store)]


def test_any_flipped_byte_is_found(store: ResultsStore, commit: Commit) -> None:
    commit("one", *CLIPS, num_windows=2)
    chance = random.Random(1)
    for table in (SCORES, *COMPANIONS):
        file = f"{table}/one.parquet"
        content = store.folder.read(file)
        for _ in range(20):
            at = chance.randrange(len(content))
            flipped = content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)])
            store.folder.write(file, flipped + content[at + 1 :])
            (finding,) = verify(store)
            assert finding.part.file == file
        for cut in (content[:-1], content[1:], content[: len(content) // 2]):
            store.folder.write(file, cut)
            assert [finding.part.file for finding in verify(store)] == [file]
        store.folder.write(file, content)
    assert verify(store) == []


def test_parts_of_earlier_versions_have_no_checksum(store: ResultsStore, commit: Commit) -> None:
    commit("one", *CLIPS)
    rows = pq.read_table(pa.BufferReader(store.folder.read("scores/one.parquet")))
    earlier = io.BytesIO()
    pq.write_table(rows, earlier, compression="zstd")
    content = earlier.getvalue()
    store.folder.write("scores/one.parquet", content)
    assert verify(store) == []
    at = content.index(b"\x28\xb5\x2f\xfd")  # how zstd begins
    store.folder.write("scores/one.parquet", content[:at] + b"\0" * 9 + content[at + 9 :])
    assert [finding.part.file for finding in verify(store)] == ["scores/one.parquet"]


@DISK_AND_BUCKET
def test_clips_are_named_by_what_can_be_read(store: ResultsStore, commit: Commit) -> None:
    for name in ("one", "two", "three"):
        commit(name, f"{name}.mp4", num_windows=1)
    for file in ("scores/one.parquet", "windows/two.parquet"):
        store.folder.write(file, store.folder.read(file)[:-9])
    for table in (SCORES, *COMPANIONS):
        store.folder.write(f"{table}/three.parquet", b"")
    store.folder.write("labels/000001.parquet", b"PAR1")
    assert found(store) == [
        ("scores/one.parquet", ("one.mp4",)),
        ("scores/three.parquet", None),
        ("timeline/three.parquet", None),
        ("windows/three.parquet", None),
        ("windows/two.parquet", ("two.mp4",)),
        ("attributions/three.parquet", None),
        ("labels/000001.parquet", None),
    ]


@DISK_AND_BUCKET
def test_what_is_set_aside_has_no_row_and_is_kept(store: ResultsStore, commit: Commit) -> None:
    for name in ("one", "two", "three"):
        commit(name, f"{name}.mp4", num_windows=1)
    timeline = store.folder.read("timeline/one.parquet")[:-9]
    store.folder.write("timeline/one.parquet", timeline)
    store.folder.write("scores/two.parquet", b"")
    store.folder.write("labels/000001.parquet", b"PAR1")
    assert set_aside(store, verify(store)) == ["one", "two"]
    assert found(store) == [("labels/000001.parquet", None)]
    for view in (SCORES, *COMPANIONS):
        clips = answer(store.location, f"SELECT DISTINCT clip_id FROM {view}").to_pylist()
        assert clips == [{"clip_id": "three.mp4"}]
    assert store.folder.read(f"{ASIDE}/timeline-one") == timeline
    assert {file.name.rpartition("/")[2] for file in store.folder.files(ASIDE)} == {
        f"{table}-{name}" for table in (SCORES, *COMPANIONS) for name in ("one", "two")
    }
    store.folder.remove("labels/000001.parquet")
    store.recover()
    assert verify(store) == []


@pytest.fixture
def record_runs(store: ResultsStore, make_stamp: Callable[..., RunStamp]) -> None:
    for run_id, source in (("a", "/x"), ("b", "/y")):
        record = RunRecord(make_stamp(run_id=run_id), source, "fp32", datetime.now(UTC))
        write_record(store, record, Tally())


@pytest.mark.usefixtures("record_runs")
@pytest.mark.parametrize(
    ("part", "sources"),
    [("a-00001", ["/x"]), ("b-adopted", ["/y"]), ("b-compact-00000", ["/x", "/y"])],
)
def test_where_rows_came_from(part: str, sources: list[str], store: ResultsStore) -> None:
    expected = [Scored(source, "first", "tiny", "aa") for source in sources]
    assert scored_by(store, [part]) == expected


@pytest.mark.usefixtures("record_runs")
def test_damaged_transcripts_leave_scores_of_the_same_name(
    store: ResultsStore, commit: Commit
) -> None:
    commit("a-00001", "one.mp4", num_windows=1)
    store.folder.write("transcripts/a-00001.parquet", b"")
    findings = verify(store)
    assert [finding.part.file for finding in findings] == ["transcripts/a-00001.parquet"]
    assert set_aside(store, findings) == ["a-00001"]
    assert verify(store) == []
    assert store.folder.read(f"{ASIDE}/transcripts-a-00001") == b""
    assert answer(store.location, "SELECT clip_id FROM scores").to_pylist() == [
        {"clip_id": "one.mp4"}
    ]
