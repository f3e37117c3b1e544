"""`emi schema`, called as a shell would."""

import json

from tasks.schema.dictionary import table_named, tables


def test_tables_are_listed(emi):
    code, out, err = emi("schema")
    assert (code, err) == (0, "")
    for entry in tables():
        assert f" {entry.name} " in out


def test_a_table_is_explained_column_by_column(emi):
    code, out, err = emi("schema", "scores")
    assert (code, err) == (0, "")
    for column in table_named("scores").columns:
        assert f" {column.name} " in out
    assert max(map(len, out.splitlines())) <= 160
    assert "no_audio_track" in out


def test_json_is_a_table_schema(emi):
    code, out, err = emi("schema", "timeline", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == table_named("timeline").table_schema()


def test_json_of_all_is_a_line_a_table(emi):
    _, out, _ = emi("schema", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["name"] for line in lines] == [entry.name for entry in tables()]
    assert [line["schema"] for line in lines] == [entry.table_schema() for entry in tables()]


def test_an_unknown_table_is_one_line(emi):
    code, out, err = emi("schema", "score")
    assert (code, out) == (2, "")
    assert err.startswith("emi: no table 'score': there are scores, ")
