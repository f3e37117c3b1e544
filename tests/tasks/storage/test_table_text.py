from __future__ import annotations

import io
import time
import zipfile

import pytest

from tasks.storage.table_text import MAX_CELL, MAX_COLUMNS, read_text_table

TABLE = [["name", "note"], ["Zoë", "a, b"], ["naïve", "c"]]


def written(separator: str, encoding: str, mark: bytes = b"") -> bytes:
    lines = [separator.join(f'"{cell}"' if "," in cell else cell for cell in row) for row in TABLE]
    return mark + "\r\n".join(lines).encode(encoding)


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (written(",", "utf-8"), ""),
        (written(",", "utf-8-sig"), ""),
        (written(";", "utf-8"), "separated by semicolons"),
        (written("\t", "utf-16"), "separated by tabs, in UTF-16"),
        (written(";", "utf-16-be", b"\xfe\xff"), "separated by semicolons, in UTF-16"),
        (written(",", "cp1252"), "in CP1252"),
        (written("|", "utf-8"), "separated by vertical bars"),
    ],
)
def test_encoding_and_separator_are_found_out(content: bytes, dialect: str) -> None:
    found = read_text_table(content)
    assert found.dialect == dialect
    assert found.header == TABLE[0]
    assert found.rows == [(2, TABLE[1]), (3, TABLE[2])]


def test_utf16_without_a_mark() -> None:
    found = read_text_table("name;note\r\nanna;b\r\n".encode("utf-16-le"))
    assert (found.header, found.rows) == (["name", "note"], [(2, ["anna", "b"])])
    assert found.dialect == "separated by semicolons, in UTF-16-LE"


def test_a_first_line_that_names_the_separator() -> None:
    found = read_text_table(b"sep=;\r\nname;note\r\na;b,c\r\n")
    assert (found.header, found.rows) == (["name", "note"], [(3, ["a", "b,c"])])


def test_lines_that_end_as_on_an_old_mac() -> None:
    found = read_text_table(b"name;note\ranna;b\rzoe;c\r")
    assert (found.header, found.rows) == (["name", "note"], [(2, ["anna", "b"]), (3, ["zoe", "c"])])


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (workbook(), "an Excel workbook .* save its sheet as CSV"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b"a,b\nc\0,d\n", "line 2 holds a zero byte"),
        (b"a\n\x81", "neither UTF-8 nor CP1252"),
        (b"\xff\xfea", "neither UTF-8 nor UTF-16"),
        (b"a," * MAX_COLUMNS + b"a\n", f"line 1 has {MAX_COLUMNS + 1} columns, expected at most"),
        (b"a\n" + b"b" * (MAX_CELL + 1), f"line 2 has a cell of {MAX_CELL + 1} characters"),
        (b'a\n"' + b"b" * 200_000, r"line 2 has a cell of (more than \d+|200000) characters"),
        ((b"b" * 60_000 + b",") * 20, "line 1 has 1200000 characters"),
        (
            b'{"words": "' + b"b" * 200_000 + b'; b"}',
            r"line 1 has a cell of (more than \d+|200011) characters",
        ),
    ],
)
def test_what_is_refused(content: bytes, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        read_text_table(content)


def test_a_million_columns_are_refused_at_once() -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="line 1 has 1000000 columns"):
        read_text_table(b",".join(b"%d" % number for number in range(1_000_000)))
    assert time.process_time() - began < 5
