from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.storage.open import open_folder
from tasks.storage.table_file import TableFile, read_table_file

Write = Callable[[str, bytes], str]


@pytest.fixture(params=["disk", "bucket"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Return a function that writes a file and returns its reference."""
    root = request.getfixturevalue("bucket") if request.param == "bucket" else str(tmp_path)

    def written(name: str, content: bytes) -> str:
        open_folder(root).write(name, content)
        return f"{root}/{name}"

    return written


def parquet(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def test_csv_is_counted_in_lines_of_the_file(write: Write) -> None:
    text = '\ufeffName,"Joy"\r\n\r\n"a\nb",0.5\r\nc\r\n'
    expected = TableFile(["Name", "Joy"], [(4, ["a\nb", "0.5"]), (5, ["c"])], "line")
    assert read_table_file(write("x.parquet", text.encode())) == expected


def test_parquet_is_counted_in_rows(write: Write) -> None:
    content = parquet(id=[7, None], name=["ü", None], joy=[0.1, 1.0], raw=[b"a", b""], yes=[1, 0])
    found = read_table_file(write("x.csv", content))
    assert found.header == ["id", "name", "joy", "raw", "yes"]
    assert found.rows == [(1, ["7", "ü", "0.1", "a", "1"]), (2, ["", "", "1", "", "0"])]
    assert found.counted_in == "row"
    assert found.numeric == {"id": "int64", "joy": "double", "yes": "int64"}


def test_only_the_columns_that_are_asked_for(write: Write) -> None:
    reference = write("x", parquet(a=["1"], b=[{"nested": 1}], c=["2"]))
    assert read_table_file(reference, ("c", "a", "none")).rows == [(1, ["1", "2"])]
    assert read_table_file(reference, ("none",)) == TableFile([], [], "row")


@pytest.mark.parametrize(
    "content", [b"PAR1 torn", b"a\n\x81", parquet(a=[{"nested": 1}]), parquet(a=[b"\xff"])]
)
def test_what_cannot_be_read(content: bytes, write: Write) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_table_file(write("x", content))


def test_what_is_not_there(write: Write) -> None:
    with pytest.raises(ValueError, match="none"):
        read_table_file(write("x", b"") + "/none")
