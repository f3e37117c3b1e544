from __future__ import annotations

import csv
import io
import json
import locale
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tasks.storage.formats import encoded, write_csv, write_json_lines


def asked(sql: str) -> pa.Table:
    with duckdb.connect() as connection:
        return connection.sql(sql).to_arrow_table()


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("{'a': 'nan'::DOUBLE, 'b': ['inf'::FLOAT, 1]}", {"a": None, "b": [None, 1.0]}),
        ("MAP {DATE '2026-01-02': ['nan'::FLOAT]}", {"2026-01-02": [None]}),
        ("MAP {1: 2}", {"1": 2}),
        ("'infinity'::TIMESTAMP", None),
        ("'-infinity'::TIMESTAMPTZ", None),
        ("'infinity'::DATE", None),
        ("[TIMESTAMP 'infinity', TIMESTAMP '2026-01-02 03:04:05']", [None, "2026-01-02T03:04:05"]),
        ("{'at': DATE '-infinity'}", {"at": None}),
        ("'44-03-15 (BC)'::DATE", "-0043-03-15"),
        ("TIMESTAMP '290000-01-01'", None),
        ("'x' || chr(27) || chr(0)", "x\x1b\0"),
        ("1.50::DECIMAL(4, 2)", 1.5),
    ],
)
def test_json_is_json_whatever_stands_in_a_column(sql: str, value: Any) -> None:
    content = encoded(asked(f"SELECT {sql} AS x"), "json")
    assert json.loads(content, parse_constant=pytest.fail) == {"x": value}


def test_json_for_a_terminal_that_knows_few_letters() -> None:
    content = io.BytesIO()
    out = io.TextIOWrapper(content, encoding="latin-1", write_through=True)
    write_json_lines([{"clip_id": "がé🙂"}], out)
    assert json.loads(content.getvalue().decode("latin-1")) == {"clip_id": "がé🙂"}


def test_csv_of_nested_values_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    write_csv(asked("SELECT ['nan'::DOUBLE, 0.5] AS l, NULL AS n, 0.5 AS x"), out)
    assert out.getvalue() == 'l,n,x\n"[null, 0.5]",,0.5\n'


def test_csv_quotes_what_a_reader_takes_for_a_rows_end() -> None:
    table = pa.table({"text": ["a\rb", "a\nb", "a\r\nb", "a\r\n", 'a,"b"'], "n": range(5)})
    for wanted, delimiter in (("csv", ","), ("excel", ";")):
        read = csv.reader(
            io.StringIO(encoded(table, wanted).decode(), newline=""), delimiter=delimiter
        )
        assert [row[0] for row in read][1:] == table["text"].to_pylist()
    assert encoded(table, "csv").splitlines(keepends=True)[0] == b"text,n\n"


def test_csv_for_excel(monkeypatch: pytest.MonkeyPatch) -> None:
    table = asked(
        "SELECT 'ü;1' AS \"=name\", 0.25::DOUBLE AS x, 'nan'::DOUBLE AS nan, [1, 2] AS l, "
        "'=1+1' AS f, -1 AS n, 1.5::DECIMAL(3, 1) AS d"
    )
    for point in (".", ","):
        monkeypatch.setattr(locale, "localeconv", lambda point=point: {"decimal_point": point})
        assert encoded(table, "excel").decode() == (
            f"\ufeff'=name;x;nan;l;f;n;d\n\"ü;1\";0{point}25;;[1, 2];'=1+1;-1;1{point}5\n"
        )


def test_the_locale_stays_as_it_was() -> None:
    before = locale.setlocale(locale.LC_NUMERIC)
    assert encoded(asked("SELECT 0.5 AS x"), "excel") == b"\xef\xbb\xbfx\n0.5\n"
    assert locale.setlocale(locale.LC_NUMERIC) == before
