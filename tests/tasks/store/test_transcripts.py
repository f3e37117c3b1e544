"""The views over transcripts: the newest of each clip, its scores, clips that say some words."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from emi_model.errors import StoreError
from tasks.schema.fields import checked
from tasks.schema.outcomes import Reason, Status
from tasks.schema.standing import MISSING_SCHEMA
from tasks.schema.tables import MISSING_CLIPS, TRANSCRIPTS
from tasks.schema.transcripts import transcripts_schema
from tasks.scoring.commit import RunStamp, tables_of
from tasks.store.compaction import compact
from tasks.store.query import answer, stored_question
from tasks.store.store import ResultsStore, create_store, open_store
from tasks.transcription.asr_models import asr_columns
from tasks.transcription.settings import AsrSettings
from tasks.transcription.transcript import NO_SPEECH_FOUND, SpokenSegment, Transcript

MakeRows = Callable[..., pa.Table]
MakeStamp = Callable[..., RunStamp]


def said(text: str) -> Transcript:
    segments = (SpokenSegment(0.5, 2.0, text, 0.1, -0.2),)
    return Transcript("en", 0.9, text, segments, len(text.split()), 1.5)


@pytest.fixture
def row(asr: AsrSettings) -> Callable[..., dict[str, Any]]:
    def make(
        clip_id: str, found: Transcript, hour: int = 0, *, keep_text: bool = True, beam: int = 1
    ) -> dict[str, Any]:
        return {
            "clip_id": clip_id,
            "uri": f"/clips/{clip_id}",
            "content_sha256": "ab",
            "status": Status.TRANSCRIBED.value,
            "flags": [],
            "run_id": f"run{hour}",
            "transcribed_at": datetime(2026, 1, 1, hour, tzinfo=UTC),
            **asr_columns(AsrSettings(asr.model, beam_size=beam)),
            **found.columns(keep_text=keep_text),
        }

    return make


def put(store: ResultsStore, name: str, *rows: dict[str, Any]) -> None:
    table = pa.Table.from_pylist(rows, transcripts_schema())
    store.commit(name, {TRANSCRIPTS: checked(table, transcripts_schema())})


def test_the_newest_transcript_of_a_clip_is_shown(
    tmp_path: Path, row: Callable[..., dict[str, Any]]
) -> None:
    store = create_store(tmp_path / "store")
    put(store, "a", row("a.mp4", said("one two"), 1), row("b.mp4", NO_SPEECH_FOUND, 1))
    put(store, "b", row("a.mp4", said("one too"), 2), row("a.mp4", said("one tooth"), 3, beam=5))
    found = answer(store.location, "SELECT clip_id, text, run_id FROM transcripts ORDER BY 1")
    assert found.to_pylist() == [
        {"clip_id": "a.mp4", "text": "one tooth", "run_id": "run3"},
        {"clip_id": "b.mp4", "text": "", "run_id": "run1"},
    ]
    every = "SELECT text, is_current FROM all_transcripts WHERE clip_id = 'a.mp4' ORDER BY 1"
    assert [tuple(one.values()) for one in answer(store.location, every).to_pylist()] == [
        ("one too", False),
        ("one tooth", True),
    ]
    (quiet,) = answer(store.location, "FROM transcripts WHERE NOT has_speech").to_pylist()
    assert (quiet["clip_id"], quiet["num_words"], quiet["segments"]) == ("b.mp4", 0, [])
    assert json.loads(quiet["asr_settings"])["beam_size"] == 1
    (told,) = answer(store.location, stored_question("transcribed")).to_pylist()
    assert (told["clips"], told["spoken"], told["rejected"], told["words"]) == (2, 1, 0, 2)


def test_a_whole_transcript_comes_before_a_later_one_that_is_cut_off(
    tmp_path: Path, row: Callable[..., dict[str, Any]]
) -> None:
    store = create_store(tmp_path / "store")
    put(store, "a", row("a.mp4", said("one two three"), 1))
    cut = {"asr_key": "cut", "flags": ["truncated"]}
    put(store, "b", row("a.mp4", said("one"), 2) | cut, row("b.mp4", said("four"), 2) | cut)
    found = answer(store.location, "SELECT text FROM transcripts ORDER BY clip_id")
    assert found["text"].to_pylist() == ["one two three", "four"]


def test_merged_parts_hold_the_latest_rows(
    tmp_path: Path, row: Callable[..., dict[str, Any]]
) -> None:
    store = create_store(tmp_path / "store")
    for hour in range(3):
        put(store, f"part{hour}", row("a.mp4", said(f"word {hour}"), hour))
    before = answer(store.location, "FROM all_transcripts").to_pylist()
    assert compact(store, "merged", superseded=True, leading=TRANSCRIPTS)
    store.recover()
    assert [part.name for part in store.parts(TRANSCRIPTS)] == ["merged-00000"]
    after = answer(store.location, "FROM all_transcripts").to_pylist()
    assert (len(after), after) == (1, before)


def test_clips_are_found_by_words_with_their_scores(
    tmp_path: Path,
    row: Callable[..., dict[str, Any]],
    make_rows: MakeRows,
    make_stamp: MakeStamp,
) -> None:
    store = create_store(tmp_path / "store")
    store.commit("one", tables_of(make_rows("a.mp4", "b.mp4", value=0.25), make_stamp()))
    put(
        store,
        "a",
        row("a.mp4", said("Oh, THANK you!  It's great.")),
        row("b.mp4", said("I am thankful. You?")),
        row("c.mp4", said("Ich sage: thank you, Überraschung")),
    )
    for words, clips in {
        "thank you": [("a.mp4", 0.25), ("c.mp4", None)],
        "Thank, You": [("a.mp4", 0.25), ("c.mp4", None)],
        "thankful": [("b.mp4", 0.25)],
        "it's": [("a.mp4", 0.25)],
        "überraschung": [("c.mp4", None)],
        "hank": [],
        ".*": [],
    }.items():
        quoted = words.replace("'", "''")
        sql = f"SELECT clip_id, joy FROM clips_saying('{quoted}')"
        rows = answer(store.location, sql).to_pylist()
        assert [tuple(one.values()) for one in rows] == clips, words
    joined = "SELECT text, joy FROM transcripts JOIN scores USING (clip_id)"
    assert answer(store.location, joined).num_rows == 2


def test_a_clip_that_is_gone_is_not_shown(
    tmp_path: Path, row: Callable[..., dict[str, Any]]
) -> None:
    store = create_store(tmp_path / "store")
    put(store, "a", row("a.mp4", said("one two")), row("b.mp4", said("three")))
    gone_row = {"clip_id": "b.mp4", "source": "/clips", "missing_since": datetime.now(UTC)}
    store.replace(MISSING_CLIPS, pa.Table.from_pylist([gone_row], MISSING_SCHEMA))
    assert answer(store.location, "SELECT text FROM transcripts")["text"].to_pylist() == ["one two"]


def test_without_text_not_a_word_is_kept(
    tmp_path: Path, row: Callable[..., dict[str, Any]]
) -> None:
    store = create_store(tmp_path / "store")
    put(store, "a", row("a.mp4", said("secret words"), keep_text=False))
    (found,) = answer(store.location, "FROM transcripts").to_pylist()
    assert "secret" not in str(found)
    assert (found["text"], found["has_speech"], found["num_words"]) == (None, True, 2)
    (segment,) = found["segments"]
    assert (segment["text"], segment["end_seconds"]) == (None, 2.0)
    files = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not any(b"secret" in content for content in files)


def test_a_transcript_has_its_own_status(row: Callable[..., dict[str, Any]]) -> None:
    schema = transcripts_schema()
    for wrong in ({"status": "scored"}, {"reason": Reason.TIMEOUT.value}, {"status": "rejected"}):
        table = pa.Table.from_pylist([row("a.mp4", said("word")) | wrong], schema)
        with pytest.raises(StoreError, match=r"found a (status|reason)"):
            checked(table, schema)


def test_a_store_of_before_there_were_transcripts_opens(tmp_path: Path) -> None:
    store = create_store(tmp_path / "store")
    (tmp_path / "store/transcripts/empty.parquet").unlink()
    assert answer(store.location, "SELECT count(*) AS n FROM scores").to_pylist() == [{"n": 0}]
    open_store(store.location)
    assert answer(store.location, "SELECT text FROM transcripts").num_rows == 0
