"""What a store holds, for a person."""

import io
from datetime import UTC, datetime

import pytest

from flows.display.status import show_status, status_lines, transcribed_lines

NOW = datetime(2026, 11, 26, 8, 5, tzinfo=UTC)
OTHER = {
    "model": "a model with a rather long name",
    "coverage": "first",
    "is_current": False,
    "clips": 1_234_567,
    "scored": 1_234_000,
    "rejected": 567,
    "missing": 0,
    "audio_hours": 12_345.678,
    "silent": 0,
    "clipped": 0,
    "short_decode": 0,
    "last_scored_at": NOW,
    "backbone_licence": "CC-BY-NC-SA-4.0",
    "model_sha256": "ab" * 32,
}
CURRENT = OTHER | {"is_current": True, "silent": 3, "clipped": 1, "missing": 2, "clips": 10}
RUN = {
    "started_at": NOW,
    "state": "interrupted",
    "made": "transcripts",
    "num_listed": 1_234_567,
    "num_scored": 1,
    "num_rejected": 0,
    "num_skipped": 9,
    "wall_seconds": 3.0,
    "audio_hours_per_hour": 120.5,
    "source": "/a/long/way/to/" + "x" * 90,
    "run_id": "20261126T080500Z-abcdef",
}


HEARD = {"asr_model": "tiny.en", "clips": 54, "spoken": 50, "rejected": 1, "words": 321}


def test_transcripts_are_told_by_asr_model():
    line = "transcripts: 54 clips by tiny.en, 50 of them with words (321), 1 rejected"
    assert list(transcribed_lines([HEARD, HEARD | {"asr_model": "base", "clips": 0}])) == [line]


def test_the_first_lines_say_what_scores_shows():
    assert list(status_lines([CURRENT, OTHER])) == [
        "scores: 10 clips by model a model with a rather long name (abababababab),",
        "  coverage first: the first 12 s of each clip",
        "  flagged: 3 silent, 1 clipped; trusted_scores leaves them out",
        "  gone from the corpus, and only in all_scores: 2",
    ]
    assert list(status_lines([OTHER])) == list(status_lines([])) == ["scores: no clips"]


@pytest.mark.parametrize("columns", [80, 200])
def test_counts_and_hours_are_there_in_any_width(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = io.StringIO()
    show_status([CURRENT, OTHER], [HEARD], [RUN], out)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= columns
    for told in (
        "1234567",
        "1234000",
        "567",
        "12345.678",
        "11-26 08:05",
        "interrupted",
        "transcripts",
    ):
        assert told in text
    assert "made" in text
    assert ("20261126T080500Z-abcdef" in text) == (columns == 200)
