"""The data dictionary: what it says is what DuckDB shows, and valid Table Schema."""

import subprocess
import sys
from pathlib import Path

import pytest
from frictionless import Schema

from emi_model.errors import ConfigError
from tasks.schema.dictionary import markdown_page, table_named, tables
from tasks.schema.outcomes import Flag, Reason
from tasks.schema.tables import TABLES
from tasks.store.query import answer
from tasks.store.store import create_store
from tasks.store.views import VIEWS

ROOT = Path(__file__).resolve().parents[3]
DUCKDB = {
    "string": {"VARCHAR"},
    "number": {"FLOAT", "DOUBLE"},
    "integer": {"INTEGER", "BIGINT"},
    "boolean": {"BOOLEAN"},
    "datetime": {"TIMESTAMP WITH TIME ZONE"},
    "array": {
        "VARCHAR[]",
        'STRUCT(start_seconds DOUBLE, "seconds" DOUBLE, filled_seconds DOUBLE)[]',
        'STRUCT(start_seconds DOUBLE, end_seconds DOUBLE, "text" VARCHAR, '
        "no_speech_probability DOUBLE, mean_log_probability DOUBLE)[]",
    },
    "object": {"MAP(VARCHAR, BIGINT)", "MAP(VARCHAR, VARCHAR)"},
}
ENTRIES = pytest.mark.parametrize("entry", tables(), ids=lambda entry: entry.name)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """Columns of every view of an empty store, with DuckDB's type."""
    results = tmp_path_factory.mktemp("results") / "store"
    create_store(results)
    return {
        name: {
            row["column_name"]: row["column_type"]
            for row in answer(results, f"DESCRIBE {name}").to_pylist()
        }
        for name in VIEWS
    }


def test_every_table_and_view_is_explained():
    assert {entry.name for entry in tables()} == {*TABLES, *VIEWS}


@ENTRIES
def test_columns_and_types_are_those_of_the_views(described, entry):
    of_targets = {"admiration", "amusement", "determination", "empathic_pain", "excitement", "joy"}
    without_rows = of_targets if entry.name == "labels" else set()
    columns = {
        column.name: column.kind for column in entry.columns if column.name not in without_rows
    }
    assert list(columns) == list(described[entry.name])
    for name, kind in columns.items():
        assert described[entry.name][name] in DUCKDB[kind], name


@ENTRIES
def test_every_column_has_a_meaning_in_words(entry):
    assert [column.name for column in entry.columns if len(column.meaning.split()) < 2] == []
    names = [column.name for column in entry.columns]
    assert set(entry.key) <= set(names)
    assert len(set(names)) == len(names)


@ENTRIES
def test_descriptors_are_valid_table_schema(entry):
    descriptor = entry.table_schema()
    assert list(Schema.metadata_validate(descriptor)) == []
    schema = Schema.from_descriptor(descriptor)
    assert schema.field_names == [column.name for column in entry.columns]
    assert schema.primary_key == list(entry.key)


def test_a_wrong_descriptor_would_be_found():
    descriptor = table_named("runs").table_schema()
    descriptor["fields"][0]["constraints"] = {"required": "perhaps"}
    assert list(Schema.metadata_validate(descriptor)) != []


def test_values_ranges_and_units_are_told_apart():
    fields = {field["name"]: field for field in table_named("scores").table_schema()["fields"]}
    assert fields["reason"]["constraints"] == {"enum": [reason.value for reason in Reason]}
    assert fields["flags"]["arrayItem"]["constraints"] == {"enum": [flag.value for flag in Flag]}
    assert fields["joy"]["constraints"] == {"minimum": 0, "maximum": 1}
    assert fields["clip_id"]["constraints"] == {"required": True}
    assert fields["duration_seconds"]["unit"] == "s"
    labels = {field["name"]: field for field in table_named("labels").table_schema()["fields"]}
    assert labels["number"]["constraints"] == {"required": True, "minimum": 1}


def test_an_unknown_table_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="no table 'score': there are scores, "):
        table_named("score")


def test_the_page_is_as_the_schemas_are():
    page = (ROOT / "infra" / "docs" / "columns.md").read_text(encoding="utf-8")
    assert page == markdown_page(tables()), (
        "python -m tasks.schema.dictionary > infra/docs/columns.md"
    )


def test_the_page_is_written_by_a_command():
    command = [sys.executable, "-m", "tasks.schema.dictionary"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout == markdown_page(tables())
