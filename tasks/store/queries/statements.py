"""All views over a store: their names, what each reads, and the statements that make them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tasks.schema.tables import (
    ABLATIONS,
    CLIP_METADATA,
    COMPANIONS,
    COMPARED_CLIPS,
    COMPARISONS,
    CURRENT_MODEL,
    DECISIONS,
    EVALUATIONS,
    EXPLANATIONS,
    FORGOTTEN,
    LABELS,
    MISSING_CLIPS,
    RUNS,
    SCORES,
    SPEAKER_METADATA,
    TABLES,
    TRANSCRIPTS,
)
from tasks.store.queries.clip_views import (
    CLIPS,
    DERIVED,
    EMPTY_LIST,
    WITHIN,
    all_view,
    clip_views,
    current_view,
    every_view,
    missing_clips_in,
)
from tasks.store.queries.explanation_views import LATEST_EXPLANATIONS
from tasks.store.queries.label_views import EVERY_ROW, LATEST_REPORTS, label_views
from tasks.store.queries.metadata_views import metadata_views
from tasks.store.queries.transcript_views import CLIPS_SAYING, transcript_views

PLAIN = (
    *(RUNS, MISSING_CLIPS, CURRENT_MODEL, EVALUATIONS, DECISIONS, ABLATIONS, COMPARED_CLIPS),
    FORGOTTEN,
)
"""Tables of which every row counts."""
VIEWS = (
    *(SCORES, *DERIVED, CLIPS, *COMPANIONS, TRANSCRIPTS),
    *map(all_view, (SCORES, *COMPANIONS, TRANSCRIPTS)),
    *(RUNS, LABELS, CLIP_METADATA, SPEAKER_METADATA, "label_snapshots"),
    *(EVALUATIONS, DECISIONS, ABLATIONS, EXPLANATIONS, COMPARISONS, COMPARED_CLIPS),
    *(FORGOTTEN, MISSING_CLIPS, CURRENT_MODEL),
)
_FACTS = (MISSING_CLIPS, CURRENT_MODEL)

READ_BY: Mapping[str, tuple[str, ...]] = {
    **{table: (table,) for table in TABLES},
    **dict.fromkeys(
        (SCORES, *DERIVED, current_view(SCORES), all_view(SCORES)),
        (SCORES, *_FACTS),
    ),
    **{
        name: (SCORES, table, *_FACTS)
        for table in COMPANIONS
        for name in (table, current_view(table), all_view(table))
    },
    **{every_view(table): (table,) for table in COMPANIONS},
    **dict.fromkeys(
        (TRANSCRIPTS, current_view(TRANSCRIPTS), all_view(TRANSCRIPTS)),
        (TRANSCRIPTS, MISSING_CLIPS),
    ),
    "label_snapshots": (LABELS,),
    CLIPS: (SCORES, *_FACTS, LABELS, CLIP_METADATA, SPEAKER_METADATA),
}
"""The tables that each view reads."""


def statements(
    files: Mapping[str, str],
    wanted: Collection[str],
    quicker: Mapping[str, str] | None = None,
) -> str:
    """Return the statements that make views.

    Args:
        files: those of each table, as a list or pattern in SQL.
        wanted: names of views, those that they are made from among them.
        quicker: bodies by name that take the place of others, see `tasks.store.queries.opening`.
    """
    bodies = _views(files) | dict(quicker or {})
    views = {name: body for name, body in bodies.items() if name in wanted}
    made = [f"CREATE OR REPLACE VIEW {name} AS\n{body};\n" for name, body in views.items()]
    if {SCORES, TRANSCRIPTS} <= views.keys():
        made.append(f"CREATE OR REPLACE MACRO {CLIPS_SAYING};\n")
    return f"CREATE SCHEMA IF NOT EXISTS {WITHIN};\n" + "".join(made)


def _views(files: Mapping[str, str]) -> dict[str, str]:
    """Return the views over some tables by name; companions only beside their scores."""
    views = clip_views(files)
    if files.get(TRANSCRIPTS, EMPTY_LIST) != EMPTY_LIST:
        views |= transcript_views(files[TRANSCRIPTS], missing_clips_in(files))
    if LABELS in files:
        views |= label_views(files[LABELS])
    views |= metadata_views(files)
    if files.get(EXPLANATIONS, EMPTY_LIST) != EMPTY_LIST:
        views[EXPLANATIONS] = LATEST_EXPLANATIONS.format(files=files[EXPLANATIONS])
    if files.get(COMPARISONS, EMPTY_LIST) != EMPTY_LIST:
        views[COMPARISONS] = LATEST_REPORTS.format(files=files[COMPARISONS])
    plain = {table: files[table] for table in PLAIN if files.get(table, EMPTY_LIST) != EMPTY_LIST}
    return views | {table: EVERY_ROW.format(files=listed) for table, listed in plain.items()}
