from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tasks.schema.tables import RUNS, SCORES
from tasks.storage.buckets import BucketFolder
from tasks.storage.folder import CHUNK_BYTES
from tasks.storage.parquet_files import parquet_bytes
from tasks.store import mirror
from tasks.store.mirror import local_parts
from tasks.store.paths import Part, PartsChanged, file_name, parts_of
from tests.faulty_bucket import FaultyBucket

Put = Callable[..., list[Part]]

READER = """
import sys
from tasks.storage.buckets import BucketFolder
from tasks.store.mirror import local_parts
from tasks.store.paths import parts_of

folder = BucketFolder(sys.argv[1])
with local_parts(folder, parts_of(folder, "scores")) as root:
    print(sorted((path.name, len(path.read_bytes())) for path in root.rglob("*.parquet")))
    if sys.argv[2:]:
        sys.stdout.flush()
        sys.stdin.read()
"""


class Counted(BucketFolder):
    """A folder that notes what is asked of it."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.asked: list[str] = []
        self.largest = 0

    def chunks(self, name: str) -> Iterator[bytes]:
        self.asked.append(name)
        for piece in super().chunks(name):
            self.largest = max(self.largest, len(piece))
            yield piece


@pytest.fixture
def folder(bucket: str) -> Counted:
    return Counted(f"{bucket}/store")


@pytest.fixture
def put(folder: Counted) -> Put:
    """Return a function that writes files of a row each and returns a table's files."""

    def written(table: str, *names: str) -> list[Part]:
        for name in names:
            folder.write(file_name(table, name), parquet_bytes(pa.table({"name": [name]})))
        return parts_of(folder, table)

    return written


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where parts are kept, in an `EMI_HOME` of this test alone."""
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "parts"


def rows(folder: BucketFolder, parts: list[Part]) -> list[str]:
    with local_parts(folder, parts) as root, duckdb.connect() as connection:
        files = [str(root / part.file) for part in parts]
        found = connection.sql("FROM read_parquet($files) ORDER BY ALL", params={"files": files})
        return [name for (name,) in found.fetchall()]


def test_a_part_is_one_request_however_often_it_is_read(
    folder: Counted, put: Put, versions: Path
) -> None:
    parts, _ = put(SCORES, "a", "b"), put(RUNS, "c")
    for _ in range(3):
        assert rows(folder, parts) == ["a", "b"]
    assert sorted(folder.asked) == [part.file for part in parts]
    assert len(list(versions.iterdir())) == 2


def test_a_large_part_is_never_whole_in_memory(folder: Counted, versions: Path) -> None:
    content = os.urandom(2 * CHUNK_BYTES + 5)
    folder.write("scores/large.parquet", content)
    with local_parts(folder, parts_of(folder, SCORES)) as root:
        assert (root / "scores" / "large.parquet").read_bytes() == content
    assert folder.asked == ["scores/large.parquet"]
    assert 0 < folder.largest < len(content)


def test_a_reader_has_what_it_named_and_nothing_else(
    folder: Counted, put: Put, versions: Path
) -> None:
    (part, other), (run,) = put(SCORES, "a", "b"), put(RUNS, "c")
    assert rows(folder, [other]) == ["b"]
    with local_parts(folder, [part, run]) as root:
        found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        assert found == {"scores/a.parquet", "runs/c.parquet"}
        assert root.parent == versions
    assert not root.exists()


def test_what_is_taken_away_meanwhile_is_told_apart_from_what_is_wrong(
    folder: Counted, put: Put, versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = put(SCORES, "a", "b")
    with pytest.raises(ZeroDivisionError), local_parts(folder, parts):
        raise ZeroDivisionError
    parts = put(SCORES, "a", "b", "c")
    folder.remove("scores/c.parquet")
    with pytest.raises(PartsChanged, match="compacted away"), local_parts(folder, parts):
        pass
    assert not list(versions.glob("reader-*"))


def test_a_record_that_was_replaced_is_read_anew_and_whole(
    folder: Counted, put: Put, versions: Path
) -> None:
    (old,) = put(RUNS, "a")
    assert rows(folder, [old]) == ["a"]
    folder.write(old.file, parquet_bytes(pa.table({"name": ["b"]})))
    (new,) = parts_of(folder, RUNS)
    assert (new.size, new.tag != old.tag) == (old.size, True)
    assert rows(folder, [new]) == ["b"]
    (listed,) = parts_of(folder, RUNS)
    folder.write(old.file, parquet_bytes(pa.table({"name": ["another, much longer one"] * 9})))
    assert rows(folder, [listed._replace(tag="not seen yet")]) == ["another, much longer one"] * 9


def test_where_a_storage_has_no_tags_nothing_is_kept_for_long(
    folder: Counted, put: Put, versions: Path
) -> None:
    (part,) = put(RUNS, "a")
    untagged = part._replace(tag="")
    assert rows(folder, [untagged]) == ["a"]
    folder.write(part.file, parquet_bytes(pa.table({"name": ["b"]})))
    assert rows(folder, [untagged]) == ["b"]


def test_thousands_of_parts(
    folder: Counted, versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = parquet_bytes(pa.table({"name": ["x"]}))
    monkeypatch.setattr(folder, "chunks", lambda name: iter((content,)))
    parts = [Part(SCORES, str(number), len(content), 0, "tag") for number in range(3000)]
    for _ in range(2):
        assert rows(folder, parts) == ["x"] * 3000


class TestBound:
    def test_the_least_recently_used_go_first(
        self, folder: Counted, put: Put, versions: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = put(SCORES, "a", "b", "c")
        for part in parts:
            assert rows(folder, [part]) == [part.name]
        assert rows(folder, parts[:1]) == ["a"]
        monkeypatch.setattr(mirror, "MAX_MIRROR_BYTES", parts[0].size + parts[2].size)
        assert rows(folder, parts[:1]) == ["a"]
        folder.asked.clear()
        assert [rows(folder, [part]) for part in (parts[0], parts[2])] == [["a"], ["c"]]
        assert folder.asked == []
        assert rows(folder, parts[1:2]) == ["b"]
        assert folder.asked == [parts[1].file]

    def test_a_question_that_needs_more_is_answered(
        self, folder: Counted, put: Put, versions: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = put(SCORES, *map(str, range(9)))
        for most in (0, parts[0].size * 3):
            monkeypatch.setattr(mirror, "MAX_MIRROR_BYTES", most)
            assert rows(folder, parts) == [part.name for part in parts]
            kept = [path.stat().st_size for path in versions.iterdir()]
            assert sum(kept) <= most
            assert len(kept) == most // parts[0].size

    def test_what_another_reads_is_removed_without_harm(
        self, folder: Counted, put: Put, versions: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, two = put(SCORES, "one", "two")
        monkeypatch.setattr(mirror, "MAX_MIRROR_BYTES", 0)
        with local_parts(folder, [one]) as root:
            assert rows(folder, [two]) == ["two"]
            files = [path.name for path in versions.iterdir() if path.is_file()]
            assert files == [f"{root.name}.lock"]
            with duckdb.connect() as connection:
                assert connection.sql(f"FROM '{root / one.file}'").fetchall() == [("one",)]


class TestReaders:
    def test_many_at_once(self, folder: Counted, put: Put, versions: Path) -> None:
        parts = put(SCORES, *map(str, range(20)))
        expected = f"{sorted((f'{part.name}.parquet', part.size) for part in parts)}\n"
        command = [sys.executable, "-c", READER, folder.uri]
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        assert [reader.communicate(timeout=60)[0] for reader in readers] == [expected] * 3
        assert len(list(versions.iterdir())) == 20

    def test_threads_at_once_under_a_bound_that_is_too_small(
        self, folder: Counted, put: Put, versions: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = put(SCORES, *map(str, range(10)))
        monkeypatch.setattr(mirror, "MAX_MIRROR_BYTES", parts[0].size * 2)
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda _: rows(folder, parts), range(30)))
        assert found == [[part.name for part in parts]] * 30

    def test_what_a_killed_one_left_is_removed(
        self, folder: Counted, put: Put, versions: Path
    ) -> None:
        parts = put(SCORES, "a")
        command = [sys.executable, "-c", READER, folder.uri, "wait"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, text=True) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline()
            (own,) = [path for path in versions.glob("reader-*") if path.is_dir()]
            assert rows(folder, parts) == ["a"]
            assert (own / "scores" / "a.parquet").exists()
            reader.send_signal(signal.SIGKILL)
            reader.wait(30)
        assert rows(folder, parts) == ["a"]
        assert not list(versions.glob("reader-*"))
        assert len(list(versions.iterdir())) == 1


class TestFaults:
    def test_where_nothing_can_be_kept(
        self, folder: Counted, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("mine")
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        parts = put(SCORES, "a", "b")
        for home in ("file", "home"):
            monkeypatch.setenv("EMI_HOME", str(tmp_path / home))
            (tmp_path / "home").mkdir(exist_ok=True)
            (tmp_path / "home" / "parts").touch()
            with local_parts(folder, parts) as root:
                assert root.parent == tmp_path / "temporary"
            assert rows(folder, parts) == ["a", "b"]
        assert list((tmp_path / "temporary").iterdir()) == []
        assert (tmp_path / "file").read_text() == "mine"

    def test_a_disk_without_hard_links(
        self, folder: Counted, put: Put, versions: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(path: Path, target: Path) -> None:
            raise PermissionError(f"{path}: no links here, to {target}")

        monkeypatch.setattr(Path, "hardlink_to", refused)
        parts = put(SCORES, "a", "b")
        assert [rows(folder, parts) for _ in range(2)] == [["a", "b"]] * 2
        assert list(versions.iterdir()) == []

    def test_half_a_part_is_never_kept(
        self, folder: Counted, put: Put, versions: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (part,) = put(SCORES, "a")
        whole, half = threading.Event(), folder.chunks

        def broken(name: str) -> Iterator[bytes]:
            (content,) = half(name)
            yield content[:9]
            if not whole.is_set():
                raise OSError("the network is down")
            yield content[9:]

        monkeypatch.setattr(folder, "chunks", broken)
        with pytest.raises(OSError, match="network is down"), local_parts(folder, [part]):
            pass
        assert list(versions.iterdir()) == []
        whole.set()
        assert rows(folder, [part]) == ["a"]

    def test_a_bucket_that_refuses(self, faulty: FaultyBucket, versions: Path) -> None:
        faulty.objects["store/scores/a.parquet"] = parquet_bytes(pa.table({"name": ["a"]}))
        folder = BucketFolder(f"{faulty.uri}/store")
        (part,) = parts_of(folder, SCORES)
        faulty.faults["store/scores/a.parquet"] = (403, "AccessDenied")
        with pytest.raises(OSError, match="403 Forbidden"), local_parts(folder, [part]):
            pass
        faulty.faults.clear()
        assert rows(folder, [part]) == ["a"]
