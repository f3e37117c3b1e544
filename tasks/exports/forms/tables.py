"""One table of the clips, one row a clip: as Parquet, as CSV, or as a CSV for spreadsheets."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.exports.codebook import (
    LABEL_PREFIX,
    TRANSCRIPT_PREFIX,
    metadata_of,
    with_meanings,
    write_codebook,
)
from tasks.exports.selection import CHOSEN, Selection
from tasks.exports.target import ExportTarget
from tasks.storage.formats import CsvWriter

_SAID = ("has_speech", "language", "text", "num_words", "speech_seconds", "asr_model")
_RATED = ("split", "num_raters")


def write_parquet_table(selection: Selection, target: ExportTarget) -> int:
    """Write a Parquet file, whose fields carry unit and meaning; return how many clips."""
    schema = _schema(selection).with_metadata(metadata_of(target.facts))
    number = 0
    with pq.ParquetWriter(target.folder / target.file, schema, compression="zstd") as writer:
        for part in selection.slices():
            found = list(selection.batches(_rows(selection, part)))
            rows = pa.Table.from_batches(found, found[0].schema if found else None)
            writer.write_table(rows.cast(schema))
            number += rows.num_rows
            selection.advance(rows.num_rows)
    write_codebook(target, schema)
    return number


def write_csv_table(selection: Selection, target: ExportTarget) -> int:
    """Write a CSV in UTF-8 with commas and exact values, for programs; return how many clips."""
    return _write_csv(selection, target, excel=False)


def write_excel(selection: Selection, target: ExportTarget) -> int:
    """Write a CSV as spreadsheets open it by a double click; return how many clips.

    With a byte order mark, semicolons, decimals as the locale has them; no cell is a formula.
    """
    return _write_csv(selection, target, excel=True)


def _write_csv(selection: Selection, target: ExportTarget, *, excel: bool) -> int:
    schema = _schema(selection)
    number = 0
    path = target.folder / target.file
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = CsvWriter(file, schema.names, excel=excel)
        for rows in _batches(selection):
            writer.write(pa.Table.from_batches([rows]))
            number += rows.num_rows
            selection.advance(rows.num_rows)
    write_codebook(target, schema, excel=excel)
    return number


def _batches(selection: Selection) -> Iterator[pa.RecordBatch]:
    for part in selection.slices():
        yield from selection.batches(_rows(selection, part))


def _schema(selection: Selection) -> pa.Schema:
    found = selection.schema(_rows(selection, "false"))
    targets = tuple(dict.fromkeys((*selection.targets, *selection.rated)))
    return with_meanings(found, targets, selection.own)


def _rows(selection: Selection, part: str) -> str:
    """Return the SQL of a slice's rows: scores, with words and labels where the store has any."""
    chosen = f"(FROM {CHOSEN} WHERE {part})"
    columns, joined = ["clips.*"], ""
    taken = selection.schema(f"FROM {CHOSEN}").names
    if selection.words:
        columns += [_beside("said", name, TRANSCRIPT_PREFIX, taken) for name in _SAID]
        joined += f" LEFT JOIN (FROM transcripts WHERE {part}) AS said USING (clip_id)"
    if selection.rated:
        columns += [_beside("rated", name, LABEL_PREFIX, taken) for name in _RATED]
        columns += [_free("rated", name, LABEL_PREFIX, taken) for name in selection.rated]
        joined += f" LEFT JOIN (FROM labels WHERE {part}) AS rated USING (clip_id)"
    return f"SELECT {', '.join(columns)} FROM {chosen} AS clips{joined} ORDER BY clips.clip_id"


def _beside(table: str, name: str, prefix: str, taken: Collection[str]) -> str:
    """Return the SQL of a column; with a prefix where a metadata file has one of this name."""
    return _free(table, name, prefix if name in taken else "", taken)


def _free(table: str, name: str, prefix: str, taken: Collection[str]) -> str:
    """Return the SQL of a column with a prefix; twice where a metadata file has that name, too."""
    shown = f"{prefix}{name}"
    return f'{table}."{name}" AS "{prefix if shown in taken else ""}{shown}"'
