from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import StoreError
from tasks.schema.tables import ATTRIBUTIONS, COMPANIONS, SCORES, TABLES, TIMELINE, WINDOWS
from tasks.scoring.commit import RunStamp, tables_of
from tasks.store.paths import file_name
from tasks.store.store import ResultsStore, create_store, open_store
from tests.places import DISK_AND_BUCKET

MakeRows = Callable[..., pa.Table]
MakeStamp = Callable[..., RunStamp]
Commit = Callable[..., None]
Shown = Callable[[Path], dict[str, tuple[float | None, list[float], list[float]]]]

PROJECT = Path(__file__).parents[3]


def files_of(store: ResultsStore) -> set[str]:
    return {file.name for file in store.folder.files()}


class TestStore:
    def test_an_absent_or_empty_folder_becomes_one(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        for root in (tmp_path / "empty", tmp_path / "new" / "below"):
            store = create_store(root)
            assert open_store(root).location == store.location == str(root)
            empty = {f"{table}/empty.parquet" for table in TABLES}
            assert files_of(store) == {"store.json", "catalog.sql", *empty}
            assert not any(store.parts(table) for table in TABLES)
            assert store.logs.is_dir()

    @DISK_AND_BUCKET
    def test_what_is_in_it_stays(self, store: ResultsStore, commit: Commit, shown: Shown) -> None:
        commit("part", "a.mp4")
        before = set(store.folder.files())
        create_store(store.location)
        assert set(store.folder.files()) == before
        assert shown(store.location) == {"a.mp4": (0.5, [0.5, 0.5], [])}

    def test_what_a_killed_creation_leaves_is_completed(self, tmp_path: Path) -> None:
        (tmp_path / "one" / ".staging").mkdir(parents=True)
        (tmp_path / "two" / ".staging").mkdir(parents=True)
        (tmp_path / "two" / "store.json").write_text('{"emi_results_store": 1}')
        whole = files_of(create_store(tmp_path / "three"))
        for name in ("one", "two"):
            assert files_of(create_store(tmp_path / name)) == whole

    def test_a_folder_of_other_things_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(StoreError, match="holds other files: choose an empty or new folder"):
            create_store(tmp_path)
        assert list(tmp_path.iterdir()) == [tmp_path / "thesis.txt"]

    @pytest.mark.parametrize("root", ["file", "file/below"])
    def test_what_cannot_be_a_folder(self, root: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot be made a results store"):
            create_store(tmp_path / root)

    @pytest.mark.parametrize("mark", [None, "no JSON", "\xff"])
    def test_nothing_to_open(self, mark: str | None, tmp_path: Path) -> None:
        if mark is not None:
            (tmp_path / "store.json").write_text(mark, encoding="latin-1")
        with pytest.raises(StoreError, match="no results store here"):
            open_store(tmp_path)

    @DISK_AND_BUCKET
    @pytest.mark.parametrize("mark", ['{"emi_results_store": 2}', "{}", "[1]"])
    def test_another_format_is_neither_opened_nor_marked_anew(
        self, mark: str, store: ResultsStore
    ) -> None:
        store.folder.write("store.json", mark.encode())
        for use in (open_store, create_store):
            with pytest.raises(StoreError, match="this version reads 1"):
                use(store.location)
        assert store.folder.read("store.json").decode() == mark


@DISK_AND_BUCKET
class TestCommit:
    def test_a_part_is_one_file_a_table_that_has_rows(
        self, store: ResultsStore, commit: Commit, shown: Shown
    ) -> None:
        commit("one", "a.mp4", num_windows=2)
        commit("two", "b.mp4", reason="timeout")
        names = {table: [part.name for part in store.parts(table)] for table in TABLES}
        found = {table: stems for table, stems in names.items() if stems}
        companions = {table: ["one"] for table in (TIMELINE, WINDOWS, ATTRIBUTIONS)}
        assert found == {SCORES: ["one", "two"], **companions}
        assert not list(store.folder.files(".staging"))
        assert shown(store.location)["a.mp4"] == (0.5, [0.5, 0.5], [0.5, 0.5])

    def test_seconds_without_their_scores_are_not_shown(
        self,
        store: ResultsStore,
        commit: Commit,
        make_rows: MakeRows,
        make_stamp: MakeStamp,
        shown: Shown,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("tasks.store.writers.ORPHAN_SECONDS", -10)
        commit("one", "a.mp4", "b.mp4")
        tables = tables_of(make_rows("b.mp4", "c.mp4", value=0.9, num_windows=1), make_stamp())
        for table in COMPANIONS:
            store.writer.put(file_name(table, "two"), tables[table])
        before: Any = {"a.mp4": (0.5, [0.5, 0.5], []), "b.mp4": (0.5, [0.5, 0.5], [])}
        assert shown(store.location) == before
        store.recover()
        assert shown(store.location) == before
        assert not any(store.folder.exists(file_name(table, "two")) for table in COMPANIONS)

    def test_replaced_parts_go(
        self, store: ResultsStore, commit: Commit, make_rows: MakeRows, make_stamp: MakeStamp
    ) -> None:
        commit("one", "a.mp4", num_windows=1)
        commit("two", "b.mp4", num_windows=1)
        tables = tables_of(make_rows("a.mp4", "b.mp4", value=0.7, num_windows=1), make_stamp())
        store.commit("three", tables, replaces=["one", "two"])
        for table in (SCORES, *COMPANIONS):
            assert [part.name for part in store.parts(table)] == ["three"]


class TestRecover:
    def test_leftovers_go_and_nothing_else(self, store: ResultsStore, commit: Commit) -> None:
        commit("one", "a.mp4", num_windows=1)
        before = files_of(store)
        store.folder.write(".staging/scores-two.parquet", b"PAR1 torn")
        for table in COMPANIONS:
            content = store.folder.read(file_name(table, "one"))
            store.folder.write(file_name(table, "orphan"), content)
        store.recover()
        assert files_of(store) == before

    def test_nothing_goes_if_scores_cannot_be_listed(
        self, store: ResultsStore, commit: Commit
    ) -> None:
        """As on a network drive that does not answer: to list them fails, and they are there."""
        commit("one", "a.mp4", num_windows=1)
        before = files_of(store)
        scores, aside = Path(store.location, SCORES), Path(store.location, "aside")
        scores.rename(aside)
        scores.symlink_to(SCORES)
        with pytest.raises(StoreError, match="cannot be read or written"):
            store.recover()
        with pytest.raises(StoreError, match="cannot be read"):
            store.arrow("SELECT clip_id FROM scores")
        scores.unlink()
        aside.rename(scores)
        assert files_of(store) == before

    @DISK_AND_BUCKET
    def test_replaced_parts_that_came_back_go(
        self,
        store: ResultsStore,
        commit: Commit,
        make_rows: MakeRows,
        make_stamp: MakeStamp,
        shown: Shown,
    ) -> None:
        commit("one", "a.mp4", num_windows=1)
        files = [file_name(table, "one") for table in (SCORES, *COMPANIONS)]
        kept = {file: store.folder.read(file) for file in files}
        tables = tables_of(make_rows("a.mp4", value=0.7, num_windows=1), make_stamp())
        store.commit("two", tables, replaces=["one"])
        before = files_of(store)
        for file, content in kept.items():
            store.folder.write(file, content)
        assert shown(store.location) == {"a.mp4": (0.7, [0.7, 0.7], [0.7])}
        store.recover()
        assert files_of(store) == before

    def test_a_run_killed_at_any_rename_or_removal(
        self, tmp_path: Path, make_rows: MakeRows, make_stamp: MakeStamp, shown: Shown
    ) -> None:
        write_parts(tmp_path / "parts", make_rows, make_stamp())
        command = [sys.executable, "-c", KILLED_EVERYWHERE, str(tmp_path)]
        done = subprocess.run(
            command, cwd=PROJECT, check=True, timeout=120, capture_output=True, text=True
        )
        signals = json.loads(done.stdout)
        assert signals == [signal.SIGKILL] * (len(signals) - 1) + [0]
        first = {"a.mp4": (0.1, [0.1, 0.1], [0.1]), "b.mp4": (0.1, [0.1, 0.1], [0.1])}
        second = {**first, "b.mp4": (0.2, [0.2, 0.2], [0.2]), "c.mp4": (0.2, [0.2, 0.2], [0.2])}
        seen: list[Any] = []
        for number in range(len(signals)):
            store = create_store(tmp_path / str(number))
            now = shown(store.location)
            assert now in ({}, first, second)
            before = files_of(store)
            store.recover()
            assert files_of(store) == before or shown(store.location) == now
            assert not list(store.folder.files(".staging"))
            parts = {table: {part.name for part in store.parts(table)} for table in TABLES}
            assert parts[SCORES] == parts[TIMELINE] == parts[WINDOWS]
            seen.append(now)
        assert sorted(seen, key=[{}, first, second].index) == seen
        assert min(seen.count(now) for now in ({}, first, second)) >= 3
        assert parts[SCORES] == {"merged"}


def write_parts(folder: Path, make_rows: MakeRows, stamp: RunStamp) -> None:
    """Write the tables of three parts: two, and the one that merges them."""
    folder.mkdir()
    one = tables_of(make_rows("a.mp4", "b.mp4", value=0.1, num_windows=1), stamp)
    two = tables_of(make_rows("b.mp4", "c.mp4", value=0.2, num_windows=1), stamp)
    a = [one[table].filter(pa.compute.equal(one[table]["clip_id"], "a.mp4")) for table in one]
    merged = {
        table: pa.concat_tables([rows, two[table]]) for table, rows in zip(one, a, strict=True)
    }
    for name, tables in (("one", one), ("two", two), ("merged", merged)):
        for table, content in tables.items():
            pq.write_table(content, folder / f"{name}-{table}.parquet")


KILLED_EVERYWHERE = """
import json, os, signal, sys
from pathlib import Path
import pyarrow.parquet as pq
from tasks.store.store import create_store

folder = Path(sys.argv[1])

def read(name):
    tables = ("scores", "timeline", "windows")
    return {table: pq.read_table(folder / "parts" / f"{name}-{table}.parquet") for table in tables}

def work(store):
    store.commit("one", read("one"))
    store.commit("two", read("two"))
    store.commit("merged", read("merged"), replaces=["one", "two"])

def kill_at(number):
    left = number
    def hook(event, arguments):
        nonlocal left
        if event in ("os.rename", "os.remove"):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
    sys.addaudithook(hook)

signals = []
while not signals or signals[-1]:
    pid = os.fork()
    if pid == 0:
        store = create_store(folder / str(len(signals)))
        kill_at(len(signals))
        work(store)
        os._exit(0)
    signals.append(os.waitpid(pid, 0)[1])
print(json.dumps(signals))
"""
"""The same work again and again, killed before the first rename or removal, the second, ..."""


class TestLock:
    def test_one_run_at_a_time(self, store: ResultsStore) -> None:
        refused = pytest.raises(StoreError, match="another run is writing here")
        with store.lock(), refused, store.lock():
            pass
        with store.lock():
            pass

    def test_another_process_is_kept_out_until_it_is_killed(self, store: ResultsStore) -> None:
        script = (
            "import sys; from pathlib import Path; from tasks.store.store import open_store\n"
            "with open_store(Path(sys.argv[1])).lock(): print('held', flush=True); input()"
        )
        command = [sys.executable, "-c", script, store.location]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(StoreError, match="wait for it, or choose another"), store.lock():
                pass
            other.kill()
        assert other.returncode == -signal.SIGKILL
        with store.lock():
            pass
