"""The data dictionary that goes along with a table: as a CSV to read, and as a data package.

The package is a Frictionless Data Package (https://specs.frictionlessdata.io/data-package/).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from emi_model.targets import VAD_DIMENSIONS
from tasks.exports.origin import as_json, licences
from tasks.exports.target import ExportTarget
from tasks.schema.dictionary import Column, column_of
from tasks.schema.fields import described
from tasks.schema.metadata import FOLDER, WHO_SPEAKS
from tasks.schema.registers import labels_schema
from tasks.schema.scores import scores_schema
from tasks.schema.transcripts import transcripts_schema
from tasks.storage.formats import decimal_point, encoded

LABEL_PREFIX = "label_"
"""Begins the columns of labels beside scores of the same names."""

TRANSCRIPT_PREFIX = "transcript_"
"""Begins a column of transcripts where a metadata file has one of the same name."""

OWN = "of a metadata file that was added to the store"

_HEADER = ("column", "type", "unit", "meaning", "allowed", "may_be_empty")


def with_meanings(found: pa.Schema, targets: Sequence[str], own: Collection[str] = ()) -> pa.Schema:
    """Return a table's columns with their units and meanings; all but the clip's id may be null.

    Args:
        found: the columns as they were read.
        targets: of the scores and of the labels; dimensions of VAD among them do not matter.
        own: columns that are of a metadata file.
    """
    known = _known([name for name in targets if name not in VAD_DIMENSIONS])
    for name in own:
        known.pop(name, None)
    fields = [known.get(field.name, described(field.name, field.type, "", OWN)) for field in found]
    return pa.schema([field.with_nullable(field.name != "clip_id") for field in fields])


def _known(targets: Sequence[str]) -> dict[str, pa.Field]:
    """Return the fields of scores, transcripts and labels, also prefixed once or twice, by name."""
    labels, transcripts = labels_schema(targets), transcripts_schema()
    tables = (labels, transcripts, scores_schema(targets), (FOLDER, WHO_SPEAKS))
    prefixed = {
        f"{before}{field.name}": field.with_name(f"{before}{field.name}")
        for prefix, table in ((LABEL_PREFIX, labels), (TRANSCRIPT_PREFIX, transcripts))
        for before in (prefix, prefix * 2)
        for field in table
    }
    return {field.name: field for table in tables for field in table} | prefixed


def write_codebook(target: ExportTarget, schema: pa.Schema, *, excel: bool = False) -> None:
    """Write ``NAME.dictionary.csv`` and ``NAME.datapackage.json`` beside a table.

    Args:
        target: of the export.
        schema: the table's columns, `with_meanings`.
        excel: whether the CSV is for spreadsheets, as the table is.
    """
    columns = [column_of(field) for field in schema]
    rows = [_row(column) for column in columns]
    content = encoded(pa.Table.from_pylist(rows), "excel" if excel else "csv")
    target.beside("dictionary.csv").write_bytes(content)
    target.beside("datapackage.json").write_text(
        as_json(_package(target, columns, excel=excel)), encoding="utf-8"
    )


def _row(column: Column) -> dict[str, str]:
    cells = (
        *(column.name, column.kind, column.unit, column.meaning),
        *(" ".join(column.allowed), "yes" if column.nullable else ""),
    )
    return dict(zip(_HEADER, cells, strict=True))


def _package(target: ExportTarget, columns: Sequence[Column], *, excel: bool) -> dict[str, Any]:
    suffix = target.file.rpartition(".")[2].lower()
    resource: dict[str, Any] = {
        "name": "clips",
        "path": target.file,
        "format": "parquet" if suffix == "parquet" else "csv",
        "schema": {
            "fields": [column.table_schema_field() for column in columns],
            "primaryKey": ["clip_id"],
        },
    }
    if excel:
        resource["dialect"] = {"delimiter": ";"}
        for field in resource["schema"]["fields"]:
            if field["type"] == "number":
                field["decimalChar"] = decimal_point()
    return {
        "name": "emi-scores",
        "title": "Emotion scores of clips, one row a clip",
        "description": target.facts["limits"],
        "created": target.facts["exported_at"],
        "licenses": [{"name": licences(target.facts), "title": "of the weights behind the scores"}],
        "resources": [resource],
    }


def metadata_of(facts: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return where an export comes from as the metadata of a Parquet file."""
    return {b"emi_provenance": as_json(facts).encode()}
