from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import MetadataError
from tasks.metadata.metadata_file import MetadataFile, read_metadata_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.csv"


def read(path: Path, text: str, key: str | None = None, **options: list[str]) -> MetadataFile:
    path.write_text(text, encoding="utf-8")
    return read_metadata_file(str(path), key, **options)


def test_columns_of_a_questionnaire(path: Path) -> None:
    text = (
        "Speaker;Age;BDI (total);Condition;Notes\n"
        "p1;30;12,5;none;\np2;41;NA;treated;late\n07;29;3;treated;\n"
    )
    found = read(path, text)
    assert (found.key, found.names, found.lines) == ("speaker", ("p1", "p2", "07"), (2, 3, 4))
    assert {name: values.to_pylist() for name, values in found.columns.items()} == {
        "age": [30, 41, 29],
        "bdi_total": [12.5, None, 3.0],
        "condition": ["none", "treated", "treated"],
        "notes": [None, "late", None],
    }
    assert (found.problems, found.notes) == ((), ("separated by semicolons",))


@pytest.mark.parametrize(
    ("header", "key", "expected"),
    [
        ("clip_id,x", None, "clip_id"),
        ("Filename,speaker,x", None, "clip_id"),
        ("speaker,x", None, "speaker"),
        ("filename,speaker,x", "speaker", "speaker"),
        ("VP-Code,x", "speaker=vp-code", "speaker"),
        ("path,x", "clip_id=path", "clip_id"),
    ],
)
def test_which_column_names_the_rows(
    header: str, key: str | None, expected: str, path: Path
) -> None:
    cells = ",".join("1" * len(header.split(",")))
    assert read(path, f"{header}\n{cells}\n", key, ignore=[]).key == expected


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("participant,x\np,1\n", None, "say which column names the speaker, --key speaker=COLUMN"),
        ("speaker,x\np,1\n", "clip_id", "no column clip_id or filename"),
        ("speaker,x\np,1\n", "person", "found --key person, expected clip_id or speaker"),
        ("", None, "no column"),
        ("PK\x03\x04", None, "an Excel workbook"),
    ],
)
def test_files_of_nobody(text: str, key: str | None, said: str, path: Path) -> None:
    with pytest.raises(MetadataError, match=said):
        read(path, text, key)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("speaker,a b,A-b\np,1,2\n", {"2 columns 'a_b', expected one"}),
        ("speaker,%\np,1\n", {"no column can be called '%'"}),
        ("speaker\np\n", {"no column beside the one that names"}),
        ("speaker,x\n", {"no rows, expected a header"}),
        ("speaker,x\np\n,3\np,inf\n", {"1 cells, expected 2", "no speaker", "a finite number"}),
    ],
)
def test_problems(text: str, problems: set[str], path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    found = read_metadata_file(str(path))
    assert len(found.problems) == len(problems)
    message = str(found.error(found.problems))
    assert all(problem in message for problem in problems)
    assert "study.csv cannot be used, correct it:\n  line " in message


def test_a_few_words_among_numbers_are_said(path: Path) -> None:
    found = read(path, "speaker,age\np,1\nq,unknown\nr,3\n")
    assert found.columns["age"].to_pylist() == ["1", "unknown", "3"]
    assert found.notes == ("age is text, for 1 cells are no number (line 3: 'unknown')",)


def test_speakers_that_pandas_wrote_as_numbers(tmp_path: Path) -> None:
    table = pa.table({"speaker": [1.0, 2.0], "x": [True, False], "__index_level_0__": [0, 1]})
    pq.write_table(table, tmp_path / "a.parquet")
    found = read_metadata_file(str(tmp_path / "a.parquet"))
    assert found.names == ("1", "2")
    assert list(found.columns) == ["x"]
    pq.write_table(pa.table({"clip_id": [1, 2], "x": [1, 2]}), tmp_path / "b.parquet")
    with pytest.raises(MetadataError, match="ids lose their zeros"):
        read_metadata_file(str(tmp_path / "b.parquet"))
