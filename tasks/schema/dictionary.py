"""The data dictionary: every table and view of a results store, column by column.

Made from the Arrow schemas of this folder; shown as a Markdown page and as Frictionless Table
Schema (https://specs.frictionlessdata.io/table-schema).

    python -m tasks.schema.dictionary > infra/docs/columns.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from emi_model.errors import ConfigError
from emi_model.targets import EMI_TARGETS
from tasks.schema.fields import TEXT, TIME, required
from tasks.schema.metadata import FOLDER, WHO_SPEAKS
from tasks.schema.registers import TABLE_SCHEMAS, labels_schema
from tasks.schema.standing import IS_CURRENT, MISSING_SINCE
from tasks.schema.tables import COMPANIONS, LABELS, SCORES, TRANSCRIPTS

_COUNT = pa.int64()
LABEL_SNAPSHOTS_SCHEMA = pa.schema(
    [
        required("number", pa.int32(), "1..", "number of the snapshot, counted up"),
        required("snapshot", TEXT, "hex", "id of the label snapshot"),
        TABLE_SCHEMAS[LABELS].field("parent"),
        required("added_at", TIME, "UTC", "when the snapshot was made"),
        required("num_rows", _COUNT, "clips", "clips that it added or corrected"),
        required("num_clips", _COUNT, "clips", "clips that were labelled by then"),
        required("num_train", _COUNT, "clips", "of these, in the split train"),
        required("num_valid", _COUNT, "clips", "of these, in the split valid"),
        required("num_test", _COUNT, "clips", "of these, in the split test"),
    ]
)

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)?")
_TYPES: tuple[tuple[Any, str], ...] = (
    (pa.types.is_string, "string"),
    (pa.types.is_floating, "number"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_list, "array"),
    (pa.types.is_map, "object"),
)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: in SQL and in the files.
        kind: its type, in Table Schema's words: string, number, integer, ...
        unit: unit or format; a range of numbers where there is one; may be empty.
        meaning: what it holds.
        allowed: the only values that it takes (an array: that its items take); empty: any.
        nullable: whether a row may have no value.
    """

    name: str
    kind: str
    unit: str
    meaning: str
    allowed: tuple[str, ...]
    nullable: bool

    def table_schema_field(self) -> dict[str, Any]:
        """Return the descriptor of this column as a field of Table Schema."""
        rules: dict[str, Any] = {} if self.nullable else {"required": True}
        range_ = _RANGE.fullmatch(self.unit)
        if range_ is not None:
            ends = zip(("minimum", "maximum"), range_.groups(), strict=True)
            rules |= {name: int(end) for name, end in ends if end is not None}
        if self.allowed and self.kind != "array":
            rules["enum"] = list(self.allowed)
        field: dict[str, Any] = {
            "name": self.name,
            "type": self.kind,
            "description": self.meaning,
        }
        if self.allowed and self.kind == "array":
            field["arrayItem"] = {"type": "string", "constraints": {"enum": list(self.allowed)}}
        return field | ({"unit": self.unit} if self.unit else {}) | {"constraints": rules}


@dataclass(frozen=True)
class TableEntry:
    """A table or view of a results store: what one row is, its key, its columns."""

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def table_schema(self) -> dict[str, Any]:
        """Return its Table Schema descriptor."""
        fields = [column.table_schema_field() for column in self.columns]
        return {"fields": fields, "primaryKey": list(self.key)}


_CLIP_KEY = ("clip_id", "model_sha256", "coverage")
_CONTRIBUTION = ("clip_id", "target", "kind", "name", "start_seconds")
_ENTRIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "scores": (
        "a clip that is still there, scored or rejected, by the current model and coverage",
        ("clip_id",),
    ),
    "rejections": ("a clip without scores: the rows of scores that are rejected", ("clip_id",)),
    "unseen_scores": ("a clip that its model was not trained on: rows of scores", ("clip_id",)),
    "trusted_scores": (
        "a scored clip that is not silent, clipped or cut short: rows of scores",
        ("clip_id",),
    ),
    "clips": (
        "a clip: its row of scores, its speaker, and every column of clip_metadata and "
        "speaker_metadata",
        ("clip_id",),
    ),
    "timeline": ("a second of a clip in scores", ("clip_id", "second")),
    "windows": ("a window of 12 s of a clip in scores", ("clip_id", "window_index")),
    "attributions": (
        "what a modality or a second adds to one score of a clip in scores (--why)",
        _CONTRIBUTION,
    ),
    "transcripts": ("what is said in a clip that is still there: the newest", ("clip_id",)),
    "all_transcripts": (
        "what is said in a clip by ASR model and settings, also one that is gone: the latest",
        ("clip_id", "asr_key"),
    ),
    "all_scores": ("a clip by model and coverage, also one that is gone: the latest", _CLIP_KEY),
    "all_timeline": ("a second of a clip in all_scores", (*_CLIP_KEY, "second")),
    "all_windows": ("a window of a clip in all_scores", (*_CLIP_KEY, "window_index")),
    "all_attributions": (
        "what a modality or a second adds to one score of a clip in all_scores",
        (*_CLIP_KEY, *_CONTRIBUTION[1:]),
    ),
    "runs": ("a run of emi process", ("run_id",)),
    "labels": ("a labelled clip: its latest labels; one column a target", ("clip_id",)),
    "clip_metadata": (
        "a clip: what `emi metadata add` was told of it, in the study's own columns",
        ("clip_id",),
    ),
    "speaker_metadata": (
        "a speaker: what `emi metadata add` was told of them, in the study's own columns",
        ("speaker",),
    ),
    "label_snapshots": ("a label file that was added", ("snapshot",)),
    "evaluations": (
        "a target of an evaluation, and one for their mean; again of each subset of its clips",
        ("evaluation_id", "subset", "target"),
    ),
    "decisions": ("a decision whether a new model becomes champion", ("decision_id",)),
    "ablations": (
        "a target of one training of an ablation, and one for their mean",
        ("ablation", "cell", "seed", "target"),
    ),
    "explanations": (
        "what is said about a clip, by model and writer: the latest",
        ("clip_id", "model_sha256", "coverage", "language_model"),
    ),
    "comparisons": (
        "a target of one system, and one for their mean; again of each subset of the clips",
        ("comparison", "cell", "subset", "target"),
    ),
    "compared_clips": (
        "a target of a clip, as one training of one system predicts it",
        ("comparison", "cell", "seed", "clip_id", "target"),
    ),
    "forgotten": (
        "a time that `emi forget` removed all that was kept of some clips; not of which",
        ("forgetting_id",),
    ),
    "missing_clips": ("a clip that is gone from its folder", ("clip_id",)),
    "current_model": ("the model and coverage that scores shows", ("model_sha256", "coverage")),
}
"""Of each table and view: what one row is, and the columns that tell two rows apart."""

_SCHEMAS: Mapping[str, pa.Schema] = {
    **TABLE_SCHEMAS,
    "rejections": TABLE_SCHEMAS[SCORES],
    "unseen_scores": TABLE_SCHEMAS[SCORES],
    "trusted_scores": TABLE_SCHEMAS[SCORES],
    "clips": pa.schema([*TABLE_SCHEMAS[SCORES], FOLDER, WHO_SPEAKS]),
    **{
        f"all_{table}": pa.schema([*TABLE_SCHEMAS[table], IS_CURRENT, MISSING_SINCE])
        for table in (SCORES, *COMPANIONS, TRANSCRIPTS)
    },
    "labels": labels_schema(EMI_TARGETS),
    "label_snapshots": LABEL_SNAPSHOTS_SCHEMA,
}


def tables() -> list[TableEntry]:
    """Return every table and view; the scores' and labels' targets are those of EMI."""
    return [
        TableEntry(name, row, key, tuple(map(column_of, _SCHEMAS[name])))
        for name, (row, key) in _ENTRIES.items()
    ]


def column_of(field: pa.Field) -> Column:
    """Return the column that a field of a schema is."""
    metadata = {name.decode(): value.decode() for name, value in field.metadata.items()}
    unit = metadata["unit"]
    allowed = tuple(unit.split("|")) if "|" in unit else ()
    kind = next((kind for is_kind, kind in _TYPES if is_kind(field.type)), "any")
    meaning = metadata["description"]
    return Column(field.name, kind, "" if allowed else unit, meaning, allowed, field.nullable)


def table_named(name: str) -> TableEntry:
    """Return the table or view of this name.

    Raises:
        ConfigError: there is none.
    """
    for table in tables():
        if table.name == name:
            return table
    raise ConfigError(f"no table {name!r}: there are {', '.join(_ENTRIES)}")


def markdown_page(entries: Iterable[TableEntry]) -> str:
    """Return the page of the data dictionary."""
    sections = [_HEADING]
    for table in entries:
        sections.append(f"## {table.name}\n\nA row is {table.row}. Key: {_codes(table.key)}.\n")
        lines = ["| column | type | unit or range | null | meaning |", "|---|---|---|---|---|"]
        lines += [
            f"| `{column.name}` | {column.kind} | {column.unit} | {'yes' * column.nullable} | "
            f"{column.meaning}{_one_of(column.allowed)} |"
            for column in table.columns
        ]
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


_HEADING = """\
# Data dictionary

Every table and view of a results store. `python -m tasks.schema.dictionary` writes this page;
`emi schema` prints the same, with `--json` as
[Table Schema](https://specs.frictionlessdata.io/table-schema/).
A model with other targets has its own columns in place of the six of EMI. What the reasons and
flags mean: [results](results.md#rejected-clips).
"""


def _one_of(allowed: tuple[str, ...]) -> str:
    return f"; one of {_codes(allowed)}" if allowed else ""


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    sys.stdout.write(markdown_page(tables()))
