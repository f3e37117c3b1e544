"""Questions that are answered for each value of a column, whatever the column is called."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from emi_model.targets import VAD_DIMENSIONS
from tasks.asking.answers import Wishes
from tasks.asking.questions import ask_question, ready_questions
from tasks.asking.scope import OpenClips
from tasks.labels.label_columns import RESERVED
from tasks.schema.tables import SCORES, TIMELINE, TRANSCRIPTS
from tasks.store.query import Ask
from tests.tasks.asking.conftest import SCORE_NAMES
from tests.tasks.asking.test_quick_questions import under_schema

QUESTIONS = {
    one.name: one.sql for one in ready_questions().values() if one.sql and "by" in one.takes
}

SITES = ("north", "south", None)
NUM_CLIPS = 150
SAID = [f"w{number}" for number in range(60)]
BOUNDS = [f"{name}_{end}" for name in SCORE_NAMES for end in ("low", "high")]
CASES = (
    ("site", None),
    ("folder", "clip_id < 'p3'"),
    ("arousal", None),
    ("reason", None),
)
"""Columns to answer by, of the study, of clips, of questions; and conditions."""


def words_of(sql: str) -> set[str]:
    """Return the names in a question that are no function's."""
    text = re.sub(r"--.*|/\*.*?\*/|'[^']*'", "", sql)
    return set(re.findall(r"\b[a-z_]\w*\b(?!\()", text))


TAKEN = {*RESERVED, *under_schema(SCORES, []).schema.names, "speaker", "folder"}
OWN_WORDS = {name: sorted(words_of(sql) - TAKEN) for name, sql in QUESTIONS.items()}
"""Names in each question that a column of a study can have as well."""

OWN_COLUMNS = sorted({"site"}.union(*OWN_WORDS.values()))


def clips_of(rng: random.Random) -> list[dict[str, Any]]:
    """Return rows of the view clips; each fifth clip was rejected, for a reason of its own."""
    rows: list[dict[str, Any]] = []
    for number in range(NUM_CLIPS):
        row: dict[str, Any] = {
            "clip_id": f"p{number % 40}/{number:03}.mp4",
            "folder": f"p{number % 40}",
        }
        row |= {"codec": rng.choice(("aac", "opus")), "flags": [], "modalities": ["audio"]}
        row |= {"status": "scored", "silent_fraction": rng.random()}
        row |= {name: rng.random() for name in (*SCORE_NAMES, *BOUNDS)}
        if number % 5 == 0:
            row |= {"status": "rejected", "reason": f"reason {number}"}
        rows.append(row | dict.fromkeys(OWN_COLUMNS, SITES[number % 7 % 3]))
    return rows


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Yield what asks tables of made-up clips, which stand for the views of a store.

    Each column of `OWN_COLUMNS` says from which of three sites a clip is.
    """
    rng = random.Random(0)
    clips = clips_of(rng)
    fields = {field.name: field.type for field in under_schema(SCORES, []).schema}
    fields |= dict.fromkeys((*SCORE_NAMES, *BOUNDS), pa.float32())
    fields |= dict.fromkeys(("folder", *OWN_COLUMNS), pa.string())
    tables = {
        "clips": pa.Table.from_pylist(clips, pa.schema(fields.items())),
        TIMELINE: [
            {
                "clip_id": row["clip_id"],
                "second": n,
                **{vad: rng.random() for vad in VAD_DIMENSIONS},
            }
            for row in clips
            for n in range(2)
        ],
        TRANSCRIPTS: [
            {"clip_id": row["clip_id"], "text": " ".join(rng.choices(SAID, k=40)), "num_words": 40}
            for row in clips
        ],
    }
    with duckdb.connect(config={"threads": 1}) as connection:
        for name, rows in tables.items():
            held = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
            connection.register("held", held)
            connection.execute(f"CREATE TABLE {name} AS FROM held")
        yield lambda sql, own: connection.sql(sql).to_arrow_table()


def rows_of(found: pa.Table) -> list[list[Any]]:
    return [list(row) for row in zip(*(c.to_pylist() for c in found.columns), strict=True)]


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_column_of_any_name_tells_the_same_groups_apart(name: str, ask: Ask) -> None:
    clips = OpenClips(ask, None)
    expected = clips.rows_by(QUESTIONS[name], "site")
    assert set(expected["site"].to_pylist()) == set(SITES)
    names = expected.schema.names[1:]
    for word in OWN_WORDS[name]:
        found = clips.rows_by(QUESTIONS[name], word.title())
        assert found.schema.names == [f"by_{word}" if word in names else word, *names]
        assert repr(rows_of(found)) == repr(rows_of(expected)), word  # NaN is NaN


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_group_is_what_its_clips_alone_give(name: str, ask: Ask) -> None:
    for column, where in CASES:
        given = f"({where}) AND " if where else ""
        found = rows_of(OpenClips(ask, where).rows_by(QUESTIONS[name], column))
        groups = ask(f"SELECT DISTINCT {column}, hash({column}) FROM clips ORDER BY 1 LIMIT 3", {})
        for value, number in rows_of(groups):
            alone = OpenClips(ask, f"{given}hash({column}) = {number}").rows(QUESTIONS[name])
            mine = [rest for group, *rest in found if group == value]
            assert repr(mine) == repr(rows_of(alone)), (column, value)
        assert [row[0] for row in found] == sorted((row[0] for row in found), key=repr)


def test_as_many_rows_of_each_group_as_the_question_has(ask: Ask) -> None:
    for name, most in (
        ("joyful_clips", 5),
        ("arousal_peaks", 5),
        ("joyful_words", 20),
        ("uncertain", 20),
    ):
        found = OpenClips(ask, None).rows_by(QUESTIONS[name], "site")
        assert Counter(found["site"].to_pylist()) == dict.fromkeys(SITES, most), name


def test_a_column_of_the_question_keeps_its_name(study: str) -> None:
    found = ask_question(study, "folders", Wishes(by="folder", where="age < 22")).one_table()
    assert found.schema.names[:3] == ["by_folder", "folder", "clips"]
    assert [row[:3] for row in rows_of(found)] == [["p00", "p00", 3], ["p01", "p01", 3]]
