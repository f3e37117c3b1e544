"""What is written as it is read is what is answered, whole, and leaves nothing beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest

from emi_model.errors import QueryError
from tasks.asking.written_answers import write_answer
from tasks.storage.formats import FileFormat, encoded
from tasks.storage.local import LocalFolder
from tasks.store.paths import PartsChanged
from tasks.store.query import answer
from tasks.store.store import ResultsStore

SQL = "SELECT range AS n, 'ü;' || range AS x FROM range(250_000) ORDER BY x"


@pytest.mark.parametrize("wanted", get_args(FileFormat))
def test_to_a_file_and_to_standard_output(
    wanted: FileFormat, store: ResultsStore, tmp_path: Path, capfdbinary: Any
) -> None:
    sql = SQL.replace("250_000", "1000")
    write_answer(store.location, sql, wanted, str(tmp_path / "new" / "a"))
    write_answer(store.location, sql, wanted)
    written = (tmp_path / "new" / "a").read_bytes()
    assert written == capfdbinary.readouterr().out == encoded(answer(store.location, sql), wanted)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]


def test_a_link_stays_and_a_pipe_is_written_to(store: ResultsStore, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write_answer(store.location, "SELECT 1 AS n", "csv", str(tmp_path / "link.csv"))
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"n\n1\n"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_answer(store.location, "SELECT 1 AS n", "csv", str(pipe))
        LocalFolder(tmp_path).write("pipe", b"more")
        assert os.read(reading, 99) == b"n\n1\nmore"
    finally:
        os.close(reading)
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.glob("[!s]*")) == ["link.csv", "pipe", "real.csv"]


def test_to_a_bucket(store: ResultsStore, bucket: str) -> None:
    from tasks.storage.open import open_folder

    write_answer(store.location, "SELECT 1 AS n", "csv", f"{bucket}/answers/a.csv")
    assert open_folder(f"{bucket}/answers").read("a.csv") == b"n\n1\n"


def test_what_does_not_fit_into_memory(
    store: ResultsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is larger than it may be in memory; what is sorted is on the disk meanwhile."""
    monkeypatch.setattr("tasks.store.bounds.machine_bytes", lambda: 2**29)
    sql = "SELECT range AS n, repeat('x', 300) AS x FROM range(500_000) ORDER BY hash(n)"
    with pytest.raises(QueryError, match="takes more than"):
        answer(store.location, sql)
    write_answer(store.location, sql, "parquet", str(tmp_path / "a"))
    found = pa.parquet.read_table(tmp_path / "a", columns=["n"])["n"].to_numpy()
    assert sorted(found) == list(range(500_000))
    assert list(found[:3]) != [0, 1, 2]


def test_with_more_memory_where_little_is_not_enough(
    store: ResultsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.asking.written_answers.SORTING_BYTES", 2**23)
    write_answer(
        store.location,
        "SELECT len(list(range)) AS n FROM range(2_000_000)",
        "csv",
        str(tmp_path / "a"),
    )
    assert (tmp_path / "a").read_text() == "n\n2000000\n"


def test_it_begins_anew_when_parts_change_meanwhile(
    store: ResultsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.storage import formats

    tries: list[int] = []

    def write(*given: Any, **named: Any) -> None:
        formats.write_tables(*given, **named)
        tries.append(1)
        if len(tries) < 3:
            raise PartsChanged("a part is gone")

    monkeypatch.setattr("tasks.asking.written_answers.write_tables", write)
    write_answer(store.location, "SELECT 1 AS n", "csv", str(tmp_path / "a"))
    assert (len(tries), (tmp_path / "a").read_text()) == (3, "n\n1\n")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "SELECT CASE WHEN range = 200000 THEN 'x' ELSE '1' END::INT FROM range(1000000)",
            "Could not",
        ),
        ("COPY (SELECT 1) TO 'x'", "no SELECT"),
        ("FROM scors", 'Did you mean "scores"'),
    ],
)
def test_an_error_leaves_no_file_and_no_folder(
    sql: str, said: str, store: ResultsStore, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(QueryError, match=said):
        write_answer(store.location, sql, "csv", str(tmp_path / "out" / "a"))
    assert list((tmp_path / "out").iterdir()) == []
