"""A corpus becomes transcripts: what is missing, reused and moved; without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from emi_model.audio.waveform import Int16Waveform
from emi_model.units import SAMPLING_RATE
from tasks.cluster.budget import ScorerPool
from tasks.corpus.done import ScoringPlan
from tasks.corpus.listing import list_clips
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import unpack
from tasks.scoring.commit import Committer
from tasks.scoring.job import Run
from tasks.scoring.stages.extract_stage import extract_rows
from tasks.scoring.stages.transcribe_stage import (
    HEARD_LAST,
    HEARD_ON_THE_WAY,
    TRANSCRIBE_SECONDS,
    TRANSCRIPT_COLUMN,
    ClipTranscriber,
)
from tasks.scoring.transcribe import transcribe_corpus, transcription_settings
from tasks.scoring.transcripts import known_transcripts
from tasks.store.query import answer
from tasks.store.store import open_store
from tasks.transcription.asr_models import asr_columns
from tasks.transcription.settings import AsrSettings
from tasks.transcription.transcriber import Transcriber
from tasks.transcription.transcript import NO_SPEECH_FOUND, SpokenSegment, Transcript
from tests.spoken import spoken


class Counting:
    """Transcribes, and counts how often."""

    def __init__(self, transcriber: Callable[[Int16Waveform], Transcript]) -> None:
        self.transcriber, self.times = transcriber, 0

    def all_of(self, waveforms: Sequence[Int16Waveform]) -> list[Transcript]:
        self.times += len(waveforms)
        return [self.transcriber(waveform) for waveform in waveforms]


def of_length(waveform: Int16Waveform) -> Transcript:
    """Stand in for a model: the words are the length; silence has none."""
    if not waveform.any():
        return NO_SPEECH_FOUND
    text = f"{len(waveform)} samples"
    return Transcript("en", 1.0, text, (SpokenSegment(0, 1, text, 0.1, -0.1),), 2, 1.0)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(-9000, 9000, 3 * SAMPLING_RATE).astype(np.int16)
    for seconds in (1, 2, 3):
        soundfile.write(folder / f"{seconds}.wav", noise[: seconds * SAMPLING_RATE], SAMPLING_RATE)
    soundfile.write(folder / "quiet.wav", np.zeros(SAMPLING_RATE, np.int16), SAMPLING_RATE)
    (folder / "broken.wav").write_bytes(b"no media")
    return folder


@pytest.fixture
def transcribed(tmp_path: Path, asr: AsrSettings) -> Callable[..., tuple[dict[str, Any], int]]:
    """Return a function that transcribes a corpus here: the run's row, and how many clips."""

    def run(corpus: Path, model: Any = of_length, **how: Any) -> tuple[dict[str, Any], int]:
        counting = Counting(model)

        def here(run: Run, plan: ScoringPlan, _pool: ScorerPool, _address: str | None) -> None:
            transcribe = ClipTranscriber(counting, run.job.settings)  # type: ignore[arg-type]
            with (
                Prober() as prober,
                Committer(run.store, run.stamp, run.tally, run.job.tables_of) as committer,
            ):
                for table in extract_rows(plan.todo, run.job.settings, prober):
                    rows = [row | {"node": None} for row in transcribe.last(table.to_pylist())]
                    committer.add(pa.Table.from_pylist(rows, HEARD_LAST))

        settings = replace(asr, **how)
        row = transcribe_corpus(str(corpus), str(tmp_path / "store"), settings, work_stage=here)
        return row, counting.times

    return run


def rows_of(folder: Path, columns: str = "clip_id, text") -> list[tuple[Any, ...]]:
    found = answer(str(folder / "store"), f"SELECT {columns} FROM transcripts ORDER BY clip_id")
    return [tuple(row.values()) for row in found.to_pylist()]


def test_each_clip_gets_a_row_and_none_is_transcribed_twice(
    tmp_path: Path, corpus: Path, transcribed: Callable[..., tuple[dict[str, Any], int]]
) -> None:
    record, times = transcribed(corpus)
    assert times == 4
    assert (record["made"], record["num_scored"], record["num_rejected"]) == ("transcripts", 4, 1)
    assert record["transcribe_seconds"] > 0
    assert record["audio_seconds"] == pytest.approx(7)
    found = rows_of(tmp_path, "clip_id, status, reason, text, has_speech, num_words")
    assert found[0] == ("1.wav", "transcribed", None, "16000 samples", True, 2)
    assert found[3] == ("broken.wav", "rejected", "unreadable", None, None, None)
    assert found[4] == ("quiet.wav", "transcribed", None, "", False, 0)

    again, times = transcribed(corpus)
    assert (times, again["num_skipped"], again["num_scored"]) == (0, 5, 0)

    (corpus / "1.wav").rename(corpus / "renamed.wav")
    renamed, times = transcribed(corpus)
    assert (times, renamed["num_adopted"], renamed["num_skipped"]) == (0, 1, 4)
    assert ("renamed.wav", "16000 samples") in rows_of(tmp_path)
    assert "1.wav" not in dict(rows_of(tmp_path))  # it is gone from the corpus

    elsewhere = corpus.rename(tmp_path / "elsewhere")
    moved, times = transcribed(elsewhere)
    assert (times, moved["num_skipped"]) == (0, 5)
    assert all("elsewhere" in uri for (uri,) in rows_of(tmp_path, "uri"))

    beam, times = transcribed(elsewhere, beam_size=5)
    assert (times, beam["num_scored"]) == (4, 4)
    assert len(rows_of(tmp_path)) == 5


def test_words_are_kept_only_where_they_are_wanted(
    tmp_path: Path, corpus: Path, transcribed: Callable[..., tuple[dict[str, Any], int]]
) -> None:
    _, times = transcribed(corpus, keep_text=False)
    assert times == 4
    columns = "text, segments[1].text, num_words, segments[1].end_seconds"
    assert rows_of(tmp_path, columns)[0] == (None, None, 2, 1.0)
    _, times = transcribed(corpus, keep_text=False)
    assert times == 0
    _, times = transcribed(corpus)
    assert times == 4, "the words are missing"
    assert rows_of(tmp_path, columns)[0] == ("16000 samples", "16000 samples", 2, 1.0)
    (corpus / "copy.wav").write_bytes((corpus / "1.wav").read_bytes())
    _, times = transcribed(corpus, keep_text=False)
    assert times == 0
    assert dict(rows_of(tmp_path))["copy.wav"] is None


@pytest.fixture
def extracted(corpus: Path) -> Callable[..., dict[str, dict[str, Any]]]:
    def extract(max_seconds: float | None) -> dict[str, dict[str, Any]]:
        settings = transcription_settings(AsrSettings("any"), ASR, max_seconds)
        with Prober() as prober:
            tables = extract_rows(list_clips(str(corpus)), settings, prober)
            return {row["clip_id"]: row for table in tables for row in table.to_pylist()}

    return extract


ASR = {"asr_model": "any", "asr_sha256": "00", "asr_key": "aa", "asr_settings": "{}"}


@contextmanager
def before_a_scorer(
    needs: dict[str, bool], max_seconds: float | None = None, known: pa.Table | None = None
) -> Iterator[tuple[ClipTranscriber, Counting]]:
    settings = transcription_settings(
        AsrSettings("any"), ASR, max_seconds, needs=needs, is_last=False
    )
    counting = Counting(of_length)
    yield ClipTranscriber(counting, settings, known), counting  # type: ignore[arg-type]


def test_a_text_becomes_an_input_of_the_model(
    extracted: Callable[..., dict[str, dict[str, Any]]],
) -> None:
    rows = extracted(None)
    with before_a_scorer({"audio": True, "text": False}) as (transcribe, counting):
        made = dict(zip(rows, transcribe.with_text([*rows.values()]), strict=True))
    assert counting.times == 4
    assert pa.Table.from_pylist(list(made.values()), HEARD_ON_THE_WAY).num_rows == 5
    inputs = unpack(made["1.wav"])
    assert inputs["text"].tobytes() == b"16000 samples"
    assert inputs["audio"].shape == (16_000,)
    assert made["1.wav"]["modalities"] == ["audio", "text"]
    assert made["1.wav"][TRANSCRIPT_COLUMN]["text"] == "16000 samples"
    assert made["quiet.wav"]["modalities"] == ["audio"]
    assert made["quiet.wav"][TRANSCRIPT_COLUMN]["has_speech"] is False
    assert made["broken.wav"][TRANSCRIPT_COLUMN] is None

    with before_a_scorer({"text": True}) as (transcribe, _):
        spoken_row, quiet = transcribe.with_text([rows["2.wav"], rows["quiet.wav"]])
    assert [*unpack(spoken_row)] == ["text"], "the model takes no audio"
    assert (quiet["status"], quiet["reason"]) == ("rejected", "no_speech")
    assert quiet[TRANSCRIPT_COLUMN]["status"] == "transcribed"


def test_a_transcript_of_the_same_content_is_not_made_again(
    tmp_path: Path,
    corpus: Path,
    asr: AsrSettings,
    transcribed: Callable[..., tuple[dict[str, Any], int]],
    extracted: Callable[..., dict[str, dict[str, Any]]],
) -> None:
    transcribed(corpus)
    (corpus / "copy.wav").write_bytes((corpus / "1.wav").read_bytes())
    store, clips = open_store(str(tmp_path / "store")), list_clips(str(corpus))
    keys = (asr_columns(asr)["asr_key"], "cut")
    known = known_transcripts(store, clips, keys)
    assert known_transcripts(store, clips, ("other", "cut")).num_rows == 0
    key = pa.array(["aa"] * known.num_rows)
    known = known.set_column(known.schema.get_field_index("asr_key"), "asr_key", key)
    with before_a_scorer({"audio": True, "text": False}, 1.5, known) as (transcribe, counting):
        rows = extracted(1.5)
        made = dict(zip(rows, transcribe.with_text([*rows.values()]), strict=True))
    assert counting.times == 2, "of the longer clips only the beginning is wanted"
    assert made["1.wav"][TRANSCRIPT_COLUMN] is None
    assert made["1.wav"][TRANSCRIBE_SECONDS] is None
    assert unpack(made["1.wav"])["text"].tobytes() == b"16000 samples"
    copy = made["copy.wav"][TRANSCRIPT_COLUMN]
    assert (copy["clip_id"], copy["asr_key"], copy["text"]) == ("copy.wav", "aa", "16000 samples")
    cut = made["3.wav"][TRANSCRIPT_COLUMN]
    assert (cut["text"], cut["asr_key"] != "aa") == ("24000 samples", True)


def test_speech_is_heard(
    tmp_path: Path,
    asr: AsrSettings,
    transcriber: Transcriber,
    transcribed: Callable[..., tuple[dict[str, Any], int]],
) -> None:
    (tmp_path / "speech").mkdir()
    waveform = spoken("I would like to thank you for your help with this project.")
    soundfile.write(tmp_path / "speech" / "a.wav", waveform, SAMPLING_RATE)
    transcribed(tmp_path / "speech", transcriber)
    ((text, sha, language),) = rows_of(tmp_path, "text, asr_sha256, language")
    assert text == "I would like to thank you for your help with this project."
    assert (sha, language) == (asr_columns(asr)["asr_sha256"], "en")
