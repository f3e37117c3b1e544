"""The SQL of the views over metadata, and of the one that joins all that is known of a clip."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.schema.metadata import ADDED_COLUMNS
from tasks.schema.tables import CLIP_METADATA, LABELS, SCORES, SPEAKER_METADATA
from tasks.store.queries.clip_views import CLIPS, EMPTY_LIST

_NEWEST = """\
WITH rows AS (
    SELECT * FROM read_parquet({files}, union_by_name = true, hive_partitioning = false)
)
SELECT * FROM rows WHERE number = (SELECT max(number) FROM rows)"""
"""The rows of the newest version: it holds all of those before it that still count."""

_CLIPS = """\
SELECT scores.*,
    CASE WHEN contains(scores.clip_id, '/') THEN split_part(scores.clip_id, '/', 1) END AS folder,
    {speaker} AS speaker{own}
FROM scores
LEFT JOIN (SELECT clip_id, speaker FROM labels) AS labelled ON scores.clip_id = labelled.clip_id
{joins}"""

_BY_CLIP = "LEFT JOIN clip_metadata AS by_clip ON scores.clip_id = by_clip.clip_id"
_BY_SPEAKER = "LEFT JOIN speaker_metadata AS by_speaker ON {speaker} = by_speaker.speaker"


def metadata_views(files: Mapping[str, str]) -> dict[str, str]:
    """Return the bodies of views by name, in the order in which they are to be made.

    Args:
        files: those of each table, as a list or pattern in SQL; a store of an earlier version has
            none of metadata.
    """
    tables = [
        t for t in (CLIP_METADATA, SPEAKER_METADATA) if files.get(t, EMPTY_LIST) != EMPTY_LIST
    ]
    views = {table: _NEWEST.format(files=files[table]) for table in tables}
    if not {SCORES, LABELS} <= files.keys():
        return views
    speaker, own, joins = "labelled.speaker", "", []
    added = ", ".join(ADDED_COLUMNS)
    if CLIP_METADATA in tables:
        speaker = "coalesce(by_clip.speaker, labelled.speaker)"
        own += f",\n    by_clip.* EXCLUDE (clip_id, speaker, {added})"
        joins.append(_BY_CLIP)
    if SPEAKER_METADATA in tables:
        own += f",\n    by_speaker.* EXCLUDE (speaker, {added})"
        joins.append(_BY_SPEAKER.format(speaker=speaker))
    views[CLIPS] = _CLIPS.format(speaker=speaker, own=own, joins="\n".join(joins))
    return views
