"""The text of a table that people hand in: its encoding, its separator, its rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""What may stand between cells, the usual one first."""

MAX_COLUMNS, MAX_CELL, MAX_ROW = 1000, 2**16, 2**20
"""The largest table: columns, characters of a cell, characters of a row."""

_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_NO_TEXT = (
    (b"PK\x03\x04", "an Excel workbook (or a zip archive)", "save its sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old kind", "save its sheet as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it"),
)
_LOOKED_AT = 1024
_LINE_END = re.compile(r"[\r\n]")  # CR alone: "CSV (Macintosh)" of Excel
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")


class TextRows(NamedTuple):
    """A table of text.

    Attributes:
        dialect: what is unusual about its spelling, in words; empty for commas and UTF-8.
        header: the first row.
        rows: the others with the lines that they end in; empty ones are left out.
    """

    dialect: str
    header: list[str]
    rows: list[tuple[int, list[str]]]


def read_text_table(content: bytes) -> TextRows:
    """Return the rows of a table; its encoding and its separator are found out.

    Raises:
        ValueError: it is no text, or larger than the bounds of this module.
    """
    text, encoding = decode_text(content)
    skipped = _SEPARATOR_LINE.match(text)  # the first line of a CSV that Excel wrote
    separator = skipped.group(1) if skipped else _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    if skipped:
        next(reader)
    rows = _bounded(reader)
    _, header = next(rows, (1, []))
    words = [] if separator == "," else [f"separated by {SEPARATORS.get(separator, separator)}"]
    words += [f"in {encoding}"] if encoding else []
    return TextRows(", ".join(words), header, [row for row in rows if row[1]])


def decode_text(content: bytes) -> tuple[str, str]:
    """Return bytes as text, and the encoding's name where it is not UTF-8.

    Raises:
        ValueError: they are no text.
    """
    for magic, kind, advice in _NO_TEXT:
        if content.startswith(magic):
            raise ValueError(f"is {kind}, expected a table as text or Parquet: {advice}")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    encoding = encoding or _utf16_without_mark(content[:_LOOKED_AT])
    if encoding is None and b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise ValueError(f"line {line} holds a zero byte: this is no table of text")
    if encoding is None:
        try:
            # utf-8-sig: spreadsheets put a byte order mark before the first name
            return content.decode("utf-8-sig"), ""
        except UnicodeDecodeError:
            encoding = "cp1252"
    try:
        return content.decode(encoding).removeprefix("\ufeff"), encoding.upper()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"is neither UTF-8 nor {encoding.upper()} (byte {error.start}): save it as UTF-8"
        ) from error


def _utf16_without_mark(start: bytes) -> str | None:
    """Return UTF-16's name if every second byte is 0, as in a text of Latin letters."""
    even, odd = start[::2], start[1::2]
    if len(even) > 1 and not any(odd) and all(even[: len(odd)]):
        return "utf-16-le"
    if len(odd) > 1 and not any(even) and all(odd):
        return "utf-16-be"
    return None


def _separator(text: str) -> str:
    """Return the separator that cuts the first line into most cells."""
    line = _LINE_END.split(text[:MAX_ROW], maxsplit=1)[0]
    counts = {
        separator: _num_cells(line, separator) for separator in SEPARATORS if separator in line
    }
    return max(counts, key=lambda separator: counts[separator]) if counts else ","


def _num_cells(line: str, separator: str) -> int:
    """Return into how many cells a separator cuts a line; 0 if one is too large for `csv`."""
    try:
        return len(next(csv.reader([line], delimiter=separator), []))
    except csv.Error:
        return 0


def _bounded(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield rows and their lines; raises ValueError for one that is too large."""
    while True:
        line: int = reader.line_num + 1  # type: ignore[attr-defined]
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            too_long = "field larger" in str(error)  # csv's own limit, twice ours
            what = f"has a cell of more than {MAX_CELL} characters" if too_long else str(error)
            raise ValueError(f"line {line} {what}") from error
        if len(cells) > MAX_COLUMNS:
            raise ValueError(
                f"line {line} has {len(cells)} columns, expected at most {MAX_COLUMNS}"
            )
        longest = max(map(len, cells), default=0)
        if longest > MAX_CELL:
            raise ValueError(
                f"line {line} has a cell of {longest} characters, expected at most {MAX_CELL}"
            )
        length = sum(map(len, cells))
        if length > MAX_ROW:
            raise ValueError(f"line {line} has {length} characters, expected at most {MAX_ROW}")
        yield reader.line_num, cells  # type: ignore[attr-defined]
