"""Files in a bucket as DuckDB and Arrow read them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.schema.tables import RUNS, SCORES
from tasks.storage.buckets import BucketFolder
from tasks.store.bucket_files import SCHEME, TAIL_BYTES, BucketFiles
from tasks.store.paths import Part, PartsChanged, file_name, parts_of
from tasks.store.writers import parquet_bytes


class Counted(BucketFolder):
    """A folder that notes what is asked of it."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.asked: list[str] = []

    def read(self, name: str) -> bytes:
        self.asked.append(name)
        return super().read(name)

    def read_range(self, name: str, start: int, end: int) -> bytes:
        self.asked.append(f"{name} {start}-{end}")
        return super().read_range(name, start, end)


@pytest.fixture
def folder(bucket: str) -> Counted:
    return Counted(f"{bucket}/store")


@pytest.fixture
def put(folder: Counted) -> Callable[..., list[Part]]:
    """Return a function that writes files of a row each and returns a table's files."""

    def written(table: str, *names: str) -> list[Part]:
        for name in names:
            folder.write(file_name(table, name), parquet_bytes(pa.table({"name": [name]})))
        return parts_of(folder, table)

    return written


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, parts: list[Part]) -> list[str]:
    files = [f"{SCHEME}://{part.file}" for part in parts]
    found = connection.sql("FROM read_parquet($files) ORDER BY ALL", params={"files": files})
    return [name for (name,) in found.fetchall()]


def test_a_small_file_is_one_request_however_often_it_is_read(
    folder: Counted, put: Callable[..., list[Part]], connection: duckdb.DuckDBPyConnection
) -> None:
    parts, others = put(SCORES, "a", "b"), put(RUNS, "c")
    connection.register_filesystem(BucketFiles(folder, [*parts, *others]))
    for _ in range(3):
        assert rows(connection, parts) == ["a", "b"]
    assert sorted(folder.asked) == [part.file for part in parts]


def test_of_a_large_file_no_more_is_read_than_is_asked_for(
    folder: Counted, put: Callable[..., list[Part]], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = parquet_bytes(pa.table({"x": [os.urandom(10) for _ in range(20_000)]}))
    folder.write("scores/large.parquet", content)
    monkeypatch.setattr("tasks.store.bucket_files.SMALL_BYTES", 1000)
    (part,) = parts_of(folder, SCORES)
    files = BucketFiles(folder, [part])
    for _ in range(2):
        assert pq.read_schema(files.open(part.file)).names == ["x"]
    assert folder.asked == [f"{part.file} {part.size - TAIL_BYTES}-{part.size}"]
    with files.open(part.file) as opened:
        assert opened.seek(-4, io.SEEK_END) == part.size - 4
        assert opened.read() == b"PAR1"
        assert (opened.tell(), opened.read(1)) == (part.size, b"")
        assert opened.seek(2) == 2
        assert opened.seek(-1, io.SEEK_CUR) == 1
        assert opened.read(2) == content[1:3]
    assert len(folder.asked) == 2


def test_nothing_else_is_there_and_nothing_is_written(
    folder: Counted, put: Callable[..., list[Part]]
) -> None:
    (part, _) = put(SCORES, "a", "b")
    files = BucketFiles(folder, [part])
    assert files.glob("store://scores/a.parquet") == ["scores/a.parquet"]
    for other in ("scores/b.parquet", "scores/*", "scores/../scores/a.parquet", "store.json"):
        assert files.glob(other) == []
        for use in (files.info, files.modified, files.open):
            with pytest.raises(FileNotFoundError):
                use(other)
    for mode in ("wb", "ab", "r+b", "xb"):
        with pytest.raises(PermissionError, match="only read"):
            files.open(part.file, mode)


def test_what_is_taken_away_meanwhile_is_told_apart_from_what_is_wrong(
    folder: Counted, put: Callable[..., list[Part]]
) -> None:
    part, *_ = put(SCORES, "a", "b")
    files = BucketFiles(folder, [part])
    with pytest.raises(ZeroDivisionError), files.reading():
        raise ZeroDivisionError
    folder.remove(part.file)
    with pytest.raises(PartsChanged, match="compacted away"), files.reading():
        files.open(part.file)


def test_a_record_that_was_replaced_since_the_listing_is_read_whole(
    folder: Counted, put: Callable[..., list[Part]], connection: duckdb.DuckDBPyConnection
) -> None:
    (part,) = put(RUNS, "a")
    folder.write(part.file, parquet_bytes(pa.table({"name": ["another, much longer one"] * 9})))
    connection.register_filesystem(BucketFiles(folder, [part]))
    assert rows(connection, [part]) == ["another, much longer one"] * 9


def test_thousands_of_files(
    folder: Counted, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = parquet_bytes(pa.table({"name": ["x"]}))
    monkeypatch.setattr(folder, "read", lambda name: content)
    parts = [Part(SCORES, str(number), len(content), 0) for number in range(3000)]
    connection.register_filesystem(BucketFiles(folder, parts))
    assert rows(connection, parts) == ["x"] * 3000
