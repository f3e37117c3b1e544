from __future__ import annotations

import pytest

from tasks.labels.label_columns import sort_columns
from tasks.storage.table_file import TableFile


def table(header: str, *rows: str) -> TableFile:
    return TableFile(header.split(","), [(n, r.split(",")) for n, r in enumerate(rows, 2)], "line")


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("filename,joy,__index_level_0__", "left out column '__index_level_0__'"),
        ("filename,joy,", "left out column 3: it numbers the rows"),
        ("filename,joy,Unnamed: 0", "left out column 'Unnamed: 0'"),
    ],
)
def test_row_numbers_of_pandas_are_no_target(header: str, note: str) -> None:
    columns = sort_columns(table(header, "a,0.5,0", "b,0.5,1"), (), ())
    assert (columns.targets, columns.problems) == (("joy",), [])
    assert columns.names == ["filename", "joy", ""]
    assert columns.notes[0].startswith(note)


def test_a_column_that_is_empty_is_left_out_without_a_word() -> None:
    columns = sort_columns(table("filename,joy,", "a,0.5,", "b,0.5,"), (), ())
    assert (columns.targets, columns.problems, columns.notes) == (("joy",), [], [])


def test_a_column_without_a_name_that_holds_something_is_a_problem() -> None:
    columns = sort_columns(table("filename,joy,", "a,0.5,0.3", "b,0.5,1"), (), ())
    assert any(text.startswith("no target can be called ''") for text in columns.problems)


def test_columns_to_ignore() -> None:
    file = table("filename,joy,Notes,mood", "a,0.5,x,y")
    columns = sort_columns(file, (), ("notes", "Mood "))
    assert (columns.targets, columns.problems) == (("joy",), [])
    assert sort_columns(file, (), ("rater",)).problems == ["no column 'rater' to ignore"]


@pytest.mark.parametrize("name", ["joy", "Empathic Pain", "Freude", "기쁨", "joy (mean)", "q1.a-b"])
def test_names_of_targets(name: str) -> None:
    assert sort_columns(table(f"filename,{name}"), (), ()).problems == []


@pytest.mark.parametrize(
    "name",
    ["=joy", "@SUM(A1)", "joy\0", "\x1b[2Jjoy", "a/b", "-joy", 'jo"y', "j" * 101, "\u202ejoy"],
)
def test_names_that_no_target_has(name: str) -> None:
    (problem,) = sort_columns(table(f"filename,{name}"), (), ()).problems
    assert problem.startswith("no target can be called")
    assert "\x1b" not in problem
    assert len(problem) < 300


def test_what_was_found_in_place_of_file_names() -> None:
    (problem, *_) = sort_columns(table("file,joy"), (), ()).problems
    assert problem == "0 columns 'filename', expected one (found file, joy)"
