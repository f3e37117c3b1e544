"""Reuse: a clip that was renamed, copied or moved gets a copy of the row of its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from tasks.corpus.clips import ClipFile
from tasks.schema.fields import checked
from tasks.schema.scores import (
    attributions_schema,
    scores_schema,
    timeline_schema,
    windows_schema,
)
from tasks.schema.tables import ATTRIBUTIONS, COMPANIONS, SCORES, TIMELINE, WINDOWS
from tasks.scoring.commit import RunStamp
from tasks.store.queries.clip_views import current_view
from tasks.store.readers import reread
from tasks.store.store import ResultsStore
from tasks.store.views import connect

_SCORES = f"""\
SELECT rows.* REPLACE (
    reused.clip_id AS clip_id,
    reused.uri AS uri,
    reused.modified_ns AS modified_ns,
    $run_id AS run_id,
    $scored_at AS scored_at
)
FROM {current_view(SCORES)} AS rows JOIN reused ON rows.clip_id = reused.source_id
WHERE model_sha256 = $model_sha256 AND coverage = $coverage"""

_MOVED = f"""\
SELECT rows.* REPLACE (
    reused.uri AS uri,
    reused.modified_ns AS modified_ns,
    scored_at + INTERVAL 1 MICROSECOND AS scored_at
)
FROM {current_view(SCORES)} AS rows JOIN reused ON rows.clip_id = reused.source_id
WHERE model_sha256 = $model_sha256 AND coverage = $coverage"""

_MOVED_COMPANION = """\
SELECT rows.*
FROM {table} AS rows JOIN reused ON rows.clip_id = reused.source_id
WHERE model_sha256 = $model_sha256 AND coverage = $coverage"""

MOVED_AT_ONCE = 20_000
"""Clips whose rows are copied at once, with their seconds and windows: some 0.2 GB."""

_COMPANION = """\
SELECT rows.* REPLACE (reused.clip_id AS clip_id, $run_id AS run_id)
FROM {table} AS rows JOIN reused ON rows.clip_id = reused.source_id
WHERE model_sha256 = $model_sha256 AND coverage = $coverage"""


def reuse(store: ResultsStore, reused: Sequence[tuple[ClipFile, str]], stamp: RunStamp) -> pa.Table:
    """Commit rows for clips whose content has a row under another name; return their scores.

    Args:
        store: locked by this process.
        reused: each clip with the id of the clip that has the row.
        stamp: of the run.
    """
    tables = _copies(store, reused, stamp, _SCORES, _COMPANION)
    store.commit(f"{stamp.run_id}-adopted", tables)
    return tables[SCORES]


def renew(store: ResultsStore, moved: Sequence[ClipFile], stamp: RunStamp) -> None:
    """Commit the rows of clips that are done with where these lie now, and the files' times.

    Args:
        store: locked by this process.
        moved: the clips.
        stamp: of the run.
    """
    for number, first in enumerate(range(0, len(moved), MOVED_AT_ONCE)):
        pairs = [(clip, clip.clip_id) for clip in moved[first : first + MOVED_AT_ONCE]]
        tables = _copies(store, pairs, stamp, _MOVED, _MOVED_COMPANION)
        store.commit(f"{stamp.run_id}-moved-{number:05d}", tables)


def _copies(
    store: ResultsStore,
    reused: Sequence[tuple[ClipFile, str]],
    stamp: RunStamp,
    of_scores: str,
    of_companion: str,
) -> dict[str, pa.Table]:
    pairs = pairs_table(reused)
    schemas = {
        TIMELINE: timeline_schema(),
        WINDOWS: windows_schema(stamp.targets),
        ATTRIBUTIONS: attributions_schema(),
    }
    copies = {SCORES: _copy(store, pairs, stamp, of_scores, scores_schema(stamp.targets))}
    for table, schema in schemas.items():
        sql = of_companion.format(table=current_view(table))
        copies[table] = _copy(store, pairs, stamp, sql, schema)
    return copies


def pairs_table(reused: Sequence[tuple[ClipFile, str]]) -> pa.Table:
    """Return clips, each with the id of the clip that has the row, as `copied` takes them."""
    return pa.table(
        {
            "clip_id": [clip.clip_id for clip, _ in reused],
            "uri": [clip.uri for clip, _ in reused],
            "modified_ns": pa.array([clip.modified_ns for clip, _ in reused], pa.int64()),
            "source_id": [source for _, source in reused],
        }
    )


def _copy(
    store: ResultsStore, pairs: pa.Table, stamp: RunStamp, sql: str, schema: pa.Schema
) -> pa.Table:
    parameters: dict[str, object] = {
        "run_id": stamp.run_id,
        "model_sha256": stamp.model_sha256,
        "coverage": stamp.coverage,
        "scored_at": stamp.clock.now(),
    }
    views = [current_view(table) for table in (SCORES, *COMPANIONS)]
    return copied(store, pairs, views, sql, parameters, schema)


def copied(
    store: ResultsStore,
    pairs: pa.Table,
    views: Sequence[str],
    sql: str,
    parameters: Mapping[str, object],
    schema: pa.Schema,
) -> pa.Table:
    """Return the rows that a question to a store gives; it may read the pairs as ``reused``.

    Args:
        store: the store.
        pairs: of `pairs_table`.
        views: that the question reads.
        sql: the question.
        parameters: values for it; those that it does not name are left out.
        schema: of the rows; columns that parts of an earlier version lack are null.
    """
    named = {name: value for name, value in parameters.items() if f"${name}" in sql}

    def query() -> pa.Table:
        with connect(store.location, views=views) as connection:
            connection.register("reused", pairs)
            return connection.sql(sql, params=named).to_arrow_table()

    rows = reread(query)
    if not rows.num_rows:  # then the view need not have this model's columns
        return schema.empty_table()
    for field in schema:  # parts of an earlier version lack columns that may be null
        if field.name not in rows.schema.names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return checked(rows.select(schema.names), schema)
