"""audformat: a database of two tables, ``clips`` a row a file, ``timeline`` a row a second of it.

``db.yaml`` says what the tables hold, ``db.NAME.parquet`` holds them. Files are named by the clips'
ids: with the clips beside ``db.yaml``, the database has its media. The format is specified at
https://audeering.github.io/audformat; `audformat.Database.load(folder)` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emi_model.targets import VAD_DIMENSIONS
from tasks.exports.origin import licences, models
from tasks.exports.selection import CHOSEN, Selection
from tasks.exports.target import ExportTarget
from tasks.exports.yaml_text import as_yaml

_RATER = "model"
_TIMES = pa.duration("ns")
_PLAIN = ("status", "reason", "duration_seconds")
_WORDS = ("language", "text")

_SECONDS = f"""
SELECT clip_id AS file, second, {", ".join(f"timeline.{name}" for name in VAD_DIMENSIONS)},
    coalesce(clips.audio_start_seconds, 0) + clips.duration_seconds AS clip_end
FROM (FROM timeline WHERE {{part}}) AS timeline
JOIN (FROM {CHOSEN} WHERE {{part}}) AS clips USING (clip_id)
ORDER BY file, second"""


def write_audformat(selection: Selection, target: ExportTarget) -> int:
    """Write the database; return how many clips it has, rejected ones without scores among them."""
    words = _WORDS if selection.words else ()
    scores = (*selection.targets, *VAD_DIMENSIONS)
    schemes = {
        **{name: _scheme("float", minimum=0, maximum=1) for name in selection.targets},
        **{name: _scheme("float") for name in (*VAD_DIMENSIONS, "duration_seconds")},
        **{name: _scheme("str") for name in ("status", "reason", *words)},
    }
    header = {
        "name": "emi",
        "description": target.facts["limits"],
        "source": models(target.facts),
        "usage": "other",
        "license": f"scores: weights under {licences(target.facts)}",
        "raters": {_RATER: {"type": "machine", "description": models(target.facts)}},
        "schemes": schemes,
        "tables": {
            "clips": _table("filewise", scores, (*_PLAIN, *words)),
            "timeline": _table("segmented", VAD_DIMENSIONS, ()),
        },
    }
    (target.folder / "db.yaml").write_text(as_yaml(header), encoding="utf-8")
    clips = _written(target, "clips", _clips(selection, (*scores, *_PLAIN), words))
    _written(target, "timeline", _timeline(selection))
    return clips


def _scheme(kind: str, **bounds: int) -> Mapping[str, Any]:
    return {"dtype": kind, **bounds}


def _table(kind: str, scores: Iterable[str], others: Iterable[str]) -> Mapping[str, Any]:
    rated = {name: {"scheme_id": name, "rater_id": _RATER} for name in scores}
    return {"type": kind, "columns": rated | {name: {"scheme_id": name} for name in others}}


def _clips(
    selection: Selection, columns: Iterable[str], words: Iterable[str]
) -> Iterator[pa.Table]:
    """Yield the rows of ``clips``, a slice a time."""
    wanted = ", ".join(
        [*(f'clips."{name}"' for name in columns), *(f'said."{word}"' for word in words)]
    )
    for part in selection.slices():
        sql = f"SELECT clips.clip_id AS file, {wanted} FROM (FROM {CHOSEN} WHERE {part}) AS clips"
        if words:
            sql += (
                f" LEFT JOIN (SELECT clip_id, {', '.join(words)} FROM transcripts WHERE {part}) "
                "AS said USING (clip_id)"
            )
        rows = selection.table(f"{sql} ORDER BY file")
        yield rows
        selection.advance(rows.num_rows)


def _timeline(selection: Selection) -> Iterator[pa.Table]:
    """Yield the rows of ``timeline``; the last second of a clip ends with the clip."""
    for part in selection.slices():
        for found in selection.row_groups(_SECONDS.format(part=part)):
            start = pc.cast(found["second"], pa.float64())
            own_end = pc.if_else(pc.greater(found["clip_end"], start), found["clip_end"], None)
            end = pc.min_element_wise(pc.add(start, 1), own_end)
            columns = {"file": found["file"], "start": _time(start), "end": _time(end)}
            yield pa.table(columns | {name: found[name] for name in VAD_DIMENSIONS})


def _time(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.cast(pc.cast(pc.round(pc.multiply(seconds, 1e9)), pa.int64()), _TIMES)


def _written(target: ExportTarget, name: str, tables: Iterable[pa.Table]) -> int:
    """Write a table slice by slice; return how many rows it has."""
    number = 0
    writer = None
    for rows in tables:
        writer = writer or pq.ParquetWriter(target.folder / f"db.{name}.parquet", rows.schema)
        writer.write_table(rows)
        number += rows.num_rows
    if writer is not None:
        writer.close()
    return number
