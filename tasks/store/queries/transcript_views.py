"""The SQL of the views over transcripts, and of the question which clips say some words.

| view | rows |
|---|---|
| within.current_transcripts | the latest row of each clip and ASR model with its settings |
| all_transcripts | the same, with ``is_current`` and ``missing_since`` |
| transcripts | the newest of each clip that is still there; of a whole clip before one cut off |
"""

from __future__ import annotations

from tasks.schema.tables import TRANSCRIPTS
from tasks.store.queries.clip_views import SHOWN, all_view, current_view

_LATEST = """\
SELECT *, parse_filename(filename, true) AS part
FROM read_parquet({files}, union_by_name = true, filename = true, hive_partitioning = false)
QUALIFY row_number() OVER (
    PARTITION BY clip_id, asr_key ORDER BY transcribed_at DESC, run_id DESC, part DESC
) = 1"""

IS_SHOWN = """row_number() OVER (
    PARTITION BY row.clip_id
    ORDER BY
        coalesce(list_contains(row.flags, 'truncated'), false),
        transcribed_at DESC, run_id DESC, asr_key
) = 1"""
"""Of a clip's transcripts the newest; one of the whole clip before one that is cut off."""

_ALL = f"""\
SELECT
    row.* EXCLUDE (filename, part),
    gone.missing_since IS NULL AND {IS_SHOWN} AS is_current,
    gone.missing_since
FROM within.current_transcripts AS row
LEFT JOIN ({{missing}}) AS gone ON row.clip_id = gone.clip_id"""

_IN_WORDS = r"' ' || regexp_replace(lower({text}), '[^\pL\pN'']+', ' ', 'g') || ' '"
"""A text's words in lower case, a blank before and after each."""

CLIPS_SAYING = f"""\
clips_saying(words) AS TABLE
SELECT
    clip_id, transcripts.text, transcripts.language,
    admiration, amusement, determination, empathic_pain, excitement, joy,
    arousal, dominance, valence
FROM transcripts
LEFT JOIN scores USING (clip_id)
WHERE contains({_IN_WORDS.format(text="transcripts.text")}, {_IN_WORDS.format(text="words")})
ORDER BY clip_id"""
"""A macro: clips in which these words are said one after another, with their scores."""


def transcript_views(files: str, missing: str) -> dict[str, str]:
    """Return the bodies of views by name, in the order in which they are to be made.

    Args:
        files: of the transcripts, as a list or pattern in SQL.
        missing: SELECT of the missing clips, ``clip_id`` and ``missing_since``.
    """
    return {
        current_view(TRANSCRIPTS): _LATEST.format(files=files),
        all_view(TRANSCRIPTS): _ALL.format(missing=missing),
        TRANSCRIPTS: SHOWN.format(table=TRANSCRIPTS),
    }
