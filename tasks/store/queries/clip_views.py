"""The SQL of the views over clips: scores and what belongs to them; one row a clip that is there.

| view | rows |
|---|---|
| within.current_scores, ... | the latest row of each clip, model and coverage, and its part |
| all_scores, all_timeline, ... | the same, with ``is_current`` and ``missing_since`` |
| scores, timeline, windows, attributions | of these the current ones |
| rejections, unseen_scores, trusted_scores | of scores: those that they name |
| clips | scores with speaker and metadata: `tasks.store.queries.metadata_views` |

Current are the rows of one model and coverage, of clips that are not missing. The model is that of
`tasks.schema.standing.CURRENT_SCHEMA`; without its row, or without rows of it, that scored last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tasks.schema.outcomes import DOUBTFUL
from tasks.schema.tables import (
    CLIP_METADATA,
    COMPANIONS,
    CURRENT_MODEL,
    LABELS,
    MISSING_CLIPS,
    SCORES,
    SPEAKER_METADATA,
    TRANSCRIPTS,
)

CLIPS = "clips"
"""View of scores with all that is known of their clips."""

DERIVED = ("rejections", "unseen_scores", "trusted_scores")
"""Views of rows of scores."""

WITHIN = "within"
"""Schema of the views that others are made from: `SHOW TABLES` does not list them."""

EMPTY_LIST = "[]"
"""Stands for the files of a table that an earlier version did not write."""

_LATEST = """\
SELECT *, parse_filename(filename, true) AS part
FROM read_parquet({files}, union_by_name = true, filename = true, hive_partitioning = false)
QUALIFY row_number() OVER (
    PARTITION BY clip_id, model_sha256, coverage ORDER BY scored_at DESC, run_id DESC, part DESC
) = 1"""
"""One row a clip, model and coverage: the latest, and the part that holds it."""

_LATEST_COMPANION = """\
SELECT companion.*, parse_filename(companion.filename, true) AS part
FROM read_parquet({files}, union_by_name = true, filename = true, hive_partitioning = false)
    AS companion
SEMI JOIN within.current_scores AS scores
    ON companion.clip_id = scores.clip_id
    AND companion.model_sha256 = scores.model_sha256
    AND companion.coverage = scores.coverage
    AND parse_filename(companion.filename, true) = scores.part"""
"""What belongs to those rows: it stands in the part of the same name."""

_ALL = """\
SELECT
    row.* EXCLUDE (filename, part),
    gone.missing_since IS NULL AND shown.coverage IS NOT NULL AS is_current,
    gone.missing_since
FROM within.current_{table} AS row
LEFT JOIN ({missing}) AS gone ON row.clip_id = gone.clip_id
LEFT JOIN (
    SELECT scored.model_sha256, scored.coverage
    FROM (
        SELECT model_sha256, coverage, max(scored_at) AS scored_at
        FROM read_parquet({scores}, union_by_name = true, hive_partitioning = false)
        GROUP BY ALL
    ) AS scored
    LEFT JOIN ({current}) AS chosen
        ON scored.model_sha256 = chosen.model_sha256 AND scored.coverage = chosen.coverage
    ORDER BY chosen.since DESC NULLS LAST, scored.scored_at DESC, 1, 2
    LIMIT 1
) AS shown ON row.model_sha256 = shown.model_sha256 AND row.coverage = shown.coverage"""

SHOWN = "SELECT * EXCLUDE (is_current, missing_since) FROM all_{table} WHERE is_current"
"""Of a view of all rows, the current ones."""

_NONE_MISSING = "SELECT NULL::VARCHAR AS clip_id, NULL::TIMESTAMPTZ AS missing_since WHERE false"
_NONE_CHOSEN = (
    "SELECT NULL::VARCHAR AS model_sha256, NULL::VARCHAR AS coverage, NULL::TIMESTAMPTZ AS since "
    "WHERE false"
)

DERIVED_BODIES: Mapping[str, str] = {
    "rejections": "SELECT * FROM scores WHERE status = 'rejected'",
    "unseen_scores": "SELECT * FROM scores WHERE training_split IS DISTINCT FROM 'train'",
    "trusted_scores": "SELECT * FROM scores WHERE status = 'scored' "
    f"AND NOT list_has_any(flags, {[str(flag) for flag in DOUBTFUL]})",
}
"""What each of them selects of scores."""

_CURRENT = (SCORES, *COMPANIONS, TRANSCRIPTS)
_BASES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(DERIVED, (SCORES,)),
    **{table: (f"all_{table}",) for table in _CURRENT},
    **{f"all_{table}": (f"{WITHIN}.current_{table}",) for table in _CURRENT},
    **{f"{WITHIN}.current_{table}": (f"{WITHIN}.current_{SCORES}",) for table in COMPANIONS},
    CLIPS: (SCORES, LABELS, CLIP_METADATA, SPEAKER_METADATA),
}
"""The views that a view is made from."""


def current_view(table: str) -> str:
    """Return the name of the view of a table's current rows with ``part``, the part they are in."""
    return f"{WITHIN}.current_{table}"


def every_view(table: str) -> str:
    """Return the name of the view of all rows of a companion's parts, with ``part``.

    Only `tasks.store.queries.opening` makes it: for compactions.
    """
    return f"{WITHIN}.every_{table}"


def all_view(table: str) -> str:
    """Return the name of the view of a table's rows of every model, coverage and clip."""
    return f"all_{table}"


def clip_views(files: Mapping[str, str]) -> dict[str, str]:
    """Return the bodies of views by name, in the order in which they are to be made.

    Args:
        files: those of each table, as a list or pattern in SQL. Without those of scores there are
            no views; without those of the facts no clip is missing, and the newest model counts.
    """
    if SCORES not in files:
        return {}
    views = {current_view(SCORES): _LATEST.format(files=files[SCORES])}
    companions = [table for table in COMPANIONS if files.get(table, EMPTY_LIST) != EMPTY_LIST]
    for table in companions:
        views[current_view(table)] = _LATEST_COMPANION.format(files=files[table])
    facts = {
        "scores": files[SCORES],
        "missing": missing_clips_in(files),
        "current": _facts(files.get(CURRENT_MODEL), "model_sha256, coverage, since", _NONE_CHOSEN),
    }
    for table in (SCORES, *companions):
        views[all_view(table)] = _ALL.format(table=table, **facts)
        views[table] = SHOWN.format(table=table)
    return views | dict(DERIVED_BODIES)


def with_bases(views: Iterable[str]) -> set[str]:
    """Return these views and those that they are made from."""
    wanted, new = set[str](), set(views)
    while new:
        wanted |= new
        new = {base for view in new for base in _BASES.get(view, ())} - wanted
    return wanted


def missing_clips_in(files: Mapping[str, str]) -> str:
    """Return the SELECT of the missing clips, of those tables' files; none without the table."""
    return _facts(files.get(MISSING_CLIPS), "clip_id, missing_since", _NONE_MISSING)


def _facts(files: str | None, columns: str, none: str) -> str:
    return none if files in (None, EMPTY_LIST) else f"SELECT {columns} FROM read_parquet({files})"
