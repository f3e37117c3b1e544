"""A bucket whose answers are lost, cut, late or asked to come again: nothing is lost or doubled."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.schema.scores import scores_schema
from tasks.schema.tables import DECISIONS, SCORES
from tasks.scoring.commit import RunStamp, tables_of
from tasks.storage.folder import Folder
from tasks.storage.open import open_folder
from tasks.store.query import answer
from tasks.store.store import create_store
from tests.faulty_bucket import (
    BUSY,
    CONFLICT,
    HALF,
    SLOW,
    STORED_500,
    STORED_CUT,
    FaultyBucket,
)

MISHAPS = [STORED_500, STORED_CUT, CONFLICT, BUSY]
READ_MISHAPS = [HALF, SLOW, BUSY, STORED_500]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyBucket]:
    """Return a bucket that goes wrong on demand; clients retry as ever, with shorter pauses."""
    monkeypatch.setattr("tasks.storage.buckets.BUSY_PAUSES_SECONDS", (0.01,) * 4)
    monkeypatch.setattr("tests.faulty_bucket.SLOW_SECONDS", 0.05)
    with FaultyBucket() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def folder(server: FaultyBucket) -> Folder:
    return open_folder(f"{server.uri}/x")


@pytest.mark.parametrize("mishap", MISHAPS)
class TestWrites:
    def test_what_is_new_is_stored_once(
        self, mishap: str, server: FaultyBucket, folder: Folder
    ) -> None:
        server.mishaps["PUT"] = [mishap]
        folder.create("y", b"mine")
        assert server.objects == {"x/y": b"mine"}
        server.mishaps["PUT"] = [mishap]
        with pytest.raises(FileExistsError, match="x/y is there already"):
            folder.create("y", b"another's")
        assert server.objects == {"x/y": b"mine"}

    def test_what_is_replaced_and_removed(
        self, mishap: str, server: FaultyBucket, folder: Folder
    ) -> None:
        for content in (b"one", b"two"):
            server.mishaps["PUT"] = [mishap]
            folder.write("y", content)
            assert server.objects == {"x/y": content}
        server.mishaps["DELETE"] = [mishap]
        folder.remove("y")
        assert server.objects == {}


def test_an_empty_variable_is_none(server: FaultyBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a compose file with ``AWS_ENDPOINT_URL_S3: ${S3_SERVER:-}``."""
    server.objects["x/y"] = b"mine"
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.setenv(name, "")
    assert open_folder(f"{server.uri}/x").read("y") == b"mine"
    open_folder(f"gs://{server.uri.rpartition('/')[2]}/x")


def test_a_storage_that_never_has_time_is_an_error(server: FaultyBucket, folder: Folder) -> None:
    server.mishaps["PUT"] = [CONFLICT] * 20
    for write in (folder.create, folder.write):
        with pytest.raises(OSError, match="409 Conflict") as caught:
            write("y", b"mine")
        assert not isinstance(caught.value, FileExistsError)
    assert server.objects == {}


@pytest.mark.parametrize("mishap", READ_MISHAPS)
def test_what_is_read_is_whole(mishap: str, server: FaultyBucket, folder: Folder) -> None:
    server.objects |= {f"x/{number:04}": b"" for number in range(1500)}
    server.objects["x/large"] = content = os.urandom(1_000_000)
    for read in (folder.read, lambda name: b"".join(folder.chunks(name))):
        server.mishaps["GET"] = [mishap]
        assert read("large") == content
    for at in (0, 1):  # which of the two pages
        server.mishaps["LIST"] = [""] * at + [mishap]
        listed = [file.name for file in folder.files()]
        assert len(listed) == len(set(listed)) == 1501
    server.mishaps["HEAD"] = [mishap]
    assert folder.exists("large")


@pytest.mark.parametrize("period", [2, 3])
def test_a_store_is_made_and_filled_as_ever(
    period: int,
    server: FaultyBucket,
    make_rows: Callable[..., pa.Table],
    make_stamp: Callable[..., RunStamp],
) -> None:
    kinds = itertools.cycle(MISHAPS)
    server.mishaps["PUT"] = [next(kinds) if n % period == 0 else "" for n in range(200)]
    reads = itertools.cycle(READ_MISHAPS)
    for method in ("GET", "LIST"):
        server.mishaps[method] = [next(reads) if n % period == 0 else "" for n in range(200)]
    store = create_store(f"{server.uri}/store")
    for name in ("one", "two"):
        store.commit(name, tables_of(make_rows(f"{name}.mp4"), make_stamp()))
    decision = pa.table({"decision_id": ["d1"]})
    store.record(DECISIONS, "d1", decision)
    store.record(DECISIONS, "d1", decision)  # after a lost answer nobody knows whether it was
    assert store.rows(SCORES, scores_schema(), pc.scalar(True), ["clip_id"]).num_rows == 2
    found = answer(store.location, "SELECT clip_id FROM scores ORDER BY ALL").to_pylist()
    assert [row["clip_id"] for row in found] == ["one.mp4", "two.mp4"]
    assert len(store.parts(DECISIONS)) == 1
