"""Questions that were rewritten to be quick answer as their plain texts do, of random stores."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tasks.asking.answers import Wishes
from tasks.asking.questions import ask_question
from tasks.asking.scope import scoped, with_clips
from tasks.metadata.add_metadata import add_speakers
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.schema.standing import MISSING_SCHEMA
from tasks.schema.tables import MISSING_CLIPS, SCORES, TRANSCRIPTS
from tasks.store.compaction import compact
from tasks.store.query import answer
from tasks.store.store import ResultsStore
from tasks.store.views import views_read
from tests.tasks.asking.conftest import SCORE_NAMES

PLAIN: Mapping[str, str] = {
    "drift": r"""
WITH by_run AS (
    SELECT
        model,
        model_sha256,
        coverage,
        run_id,
        min(scored_at) AS scored_at,
        count(*) AS clips,
        avg(joy) AS joy,
        avg(amusement) AS amusement,
        avg(empathic_pain) AS empathic_pain,
        avg(arousal) AS arousal,
        avg(valence) AS valence
    FROM all_scores
    WHERE status = 'scored'
    GROUP BY ALL
),
first_runs AS (
    FROM by_run
    QUALIFY row_number() OVER (PARTITION BY model_sha256, coverage ORDER BY scored_at, run_id) = 1
),
deviations AS (
    SELECT
        all_scores.model_sha256,
        all_scores.coverage,
        nullif(stddev_samp(all_scores.joy), 0) AS joy,
        nullif(stddev_samp(all_scores.amusement), 0) AS amusement,
        nullif(stddev_samp(all_scores.empathic_pain), 0) AS empathic_pain,
        nullif(stddev_samp(all_scores.arousal), 0) AS arousal,
        nullif(stddev_samp(all_scores.valence), 0) AS valence
    FROM all_scores
    SEMI JOIN first_runs USING (model, model_sha256, coverage, run_id)
    WHERE status = 'scored'
    GROUP BY ALL
)
SELECT
    runs.model,
    runs.coverage,
    runs.run_id,
    runs.scored_at,
    runs.clips,
    round((runs.joy - first.joy) / deviations.joy, 2) AS joy_drift,
    round((runs.amusement - first.amusement) / deviations.amusement, 2) AS amusement_drift,
    round((runs.empathic_pain - first.empathic_pain) / deviations.empathic_pain, 2)
        AS empathic_pain_drift,
    round((runs.arousal - first.arousal) / deviations.arousal, 2) AS arousal_drift,
    round((runs.valence - first.valence) / deviations.valence, 2) AS valence_drift
FROM by_run AS runs
JOIN first_runs AS first USING (model_sha256, coverage)
JOIN deviations USING (model_sha256, coverage)
ORDER BY runs.model, runs.coverage, runs.scored_at, runs.run_id
""",
    "distributions": r"""
WITH rated AS (
    SELECT
        /* by */
        COLUMNS(
            '^(admiration|amusement|determination|empathic_pain|excitement|joy'
            || '|arousal|dominance|valence)$'
        ) AS 'of \1'
    FROM trusted_scores
),
figures AS (
    SELECT
        /* by */
        count(*) AS clips,
        {'mean': avg(COLUMNS('^of (.*)$')), 'deviation': stddev_samp(COLUMNS('^of (.*)$')),
            'lowest': min(COLUMNS('^of (.*)$')), 'highest': max(COLUMNS('^of (.*)$')),
            'middle': quantile_cont(COLUMNS('^of (.*)$'), [0.1, 0.5, 0.9])} AS '\1'
    FROM rated
    GROUP BY ALL
    HAVING count(*) > 0
)
SELECT
    /* by */
    score,
    clips,
    round(figure.mean, 3) AS mean,
    round(figure.deviation, 3) AS deviation,
    round(figure.lowest::DOUBLE, 3) AS lowest,
    round(figure.middle[1]::DOUBLE, 3) AS p10,
    round(figure.middle[2]::DOUBLE, 3) AS median,
    round(figure.middle[3]::DOUBLE, 3) AS p90,
    round(figure.highest::DOUBLE, 3) AS highest
FROM (
    UNPIVOT figures
    ON admiration, amusement, determination, empathic_pain, excitement, joy,
        arousal, dominance, valence
    INTO NAME score VALUE figure
)
""",
    "joyful_words": r"""
WITH heard AS (
    SELECT
        /* by */
        joy,
        joy >= quantile_cont(joy, 0.9) OVER (PARTITION BY /* by */ 0) AS is_joyful,
        list_distinct(regexp_extract_all(lower(transcripts.text), '[\pL\pN'']+')) AS words
    FROM transcripts
    JOIN trusted_scores USING (clip_id)
    WHERE transcripts.num_words > 0
),
said AS (SELECT /* by */ is_joyful, unnest(words) AS word FROM heard),
counted AS (
    SELECT
        /* by */
        word,
        count_if(is_joyful)::BIGINT AS joyful_clips,
        count_if(NOT is_joyful)::BIGINT AS other_clips
    FROM said
    GROUP BY ALL
)
SELECT
    /* by */
    word,
    joyful_clips,
    other_clips,
    round((joyful_clips + 0.5) / (other_clips + 0.5) * 9, 1) AS times
FROM counted
WHERE joyful_clips >= 2
ORDER BY times DESC, joyful_clips DESC, word
LIMIT 20 /* by */
""",
    "model_against_model": r"""
SELECT
    own.clip_id,
    own.model AS own_model,
    other.model AS other_model,
    round((
        abs(other.admiration - own.admiration)
        + abs(other.amusement - own.amusement)
        + abs(other.determination - own.determination)
        + abs(other.empathic_pain - own.empathic_pain)
        + abs(other.excitement - own.excitement)
        + abs(other.joy - own.joy)
    ) / 6, 3) AS difference,
    round(own.joy::DOUBLE, 3) AS own_joy,
    round(other.joy::DOUBLE, 3) AS other_joy,
    round(own.empathic_pain::DOUBLE, 3) AS own_empathic_pain,
    round(other.empathic_pain::DOUBLE, 3) AS other_empathic_pain
FROM scores AS own
JOIN all_scores AS other
    ON own.clip_id = other.clip_id
    AND own.coverage = other.coverage
    AND own.model_sha256 <> other.model_sha256
WHERE own.status = 'scored' AND other.status = 'scored'
ORDER BY difference DESC NULLS LAST, own.clip_id, other_model
LIMIT 20
""",
}
"""What the questions ask, said in the simplest way."""

SPOKEN = (
    *("I said yes", "Yes, yes: YES!", "we laughed and  laughed", "don't laugh -- don't", "...", ""),
    *(
        "Ça va? Ça va très bien",
        "eins\tzwei\nzwei",
        "a_b a-b 3,5",
        " ".join(f"w{n % 70}" for n in range(160)),
    ),
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def under_schema(table: str, rows: list[dict[str, Any]]) -> pa.Table:
    schema = TABLE_SCHEMAS[table]
    wanted = [field for field in schema if not field.nullable]
    none = dict.fromkeys(schema.names) | {
        field.name: "" if pa.types.is_string(field.type) else 0 for field in wanted
    }
    return pa.Table.from_pylist([none | row for row in rows], schema)


def commit_run(store: ResultsStore, number: int, rng: random.Random) -> None:
    """Commit a run of one of two models over some of 200 clips, scored before or not."""
    model = number % 2
    same = {"model": f"m{model}", "model_sha256": str(model) * 8, "run_id": f"run{number}"}
    at = {"scored_at": START + timedelta(hours=number)}
    same |= {"coverage": "full" if number == 2 else "first", "flags": []}
    clips = [f"p{n % 6}/{n:03}.mp4" for n in sorted(rng.sample(range(200), 120))]
    scores: list[dict[str, Any]] = []
    for clip in clips:
        row = {"clip_id": clip, **same, **at, "status": "scored"}
        # few values, so that many are alike
        row |= {name: rng.randrange(12) / 11 for name in SCORE_NAMES}
        if rng.random() < 0.1:
            row |= dict.fromkeys(SCORE_NAMES) | {"status": "rejected", "reason": "timeout"}
        elif rng.random() < 0.1:
            row["flags"] = ["silent"]
        scores.append(row)
    texts = [{"clip_id": clip, "text": rng.choice(SPOKEN)} for clip in clips]
    spoken = {"run_id": f"run{number}", "status": "transcribed", "flags": [], "asr_key": "key"}
    spoken |= {"transcribed_at": at["scored_at"]}
    texts = [{**row, **spoken, "num_words": len(row["text"].split())} for row in texts]
    tables = {SCORES: under_schema(SCORES, scores), TRANSCRIPTS: under_schema(TRANSCRIPTS, texts)}
    store.commit(f"run{number}-00000", tables)


@pytest.fixture(params=range(2))
def any_store(store: ResultsStore, request: pytest.FixtureRequest) -> ResultsStore:
    rng = random.Random(request.param)
    for number in range(6):
        commit_run(store, number, rng)
    gone = {"clip_id": "p1/001.mp4", "source": "/c", "missing_since": START}
    store.replace(MISSING_CLIPS, pa.Table.from_pylist([gone], MISSING_SCHEMA))
    if request.param:
        compact(store, "compacted", whole=True)
    add_speakers(store.location, "{speaker}/*")
    return store


def as_plain(rows: pa.Table, *, ordered: bool) -> list[Any]:
    """Return rows with real numbers as they are shown; the sum of floats depends on its order."""
    shown = [
        {key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}
        for row in rows.to_pylist()
    ]
    return shown if ordered else sorted(shown, key=repr)


def as_asked(location: str, sql: str, where: str | None, by: str | None) -> pa.Table:
    if by is None:
        return answer(location, scoped(sql, where))
    return with_clips(location, where, lambda clips: clips.rows_by(sql, by), views_read(sql))


CASES = (
    (None, None),
    ("joy > 0.3", None),
    (None, "speaker"),
    ("valence < 0.9", "speaker"),
)
"""Conditions, and columns to answer by."""


def test_they_answer_as_plain_texts_do(any_store: ResultsStore) -> None:
    """All cases over one store, which takes longer to make than they to answer."""
    for name, plain in PLAIN.items():
        for where, by in CASES:
            if by is not None and "/* by */" not in plain:
                continue
            expected = as_asked(any_store.location, plain, where, by)
            found = ask_question(any_store.location, name, Wishes(where, by)).one_table()
            ordered = by is None or name == "joyful_words"
            assert found.schema == expected.schema, name
            assert found.num_rows > 0, name
            assert as_plain(found, ordered=ordered) == as_plain(expected, ordered=ordered), name
