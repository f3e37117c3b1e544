"""The text of a clip, by a real ASR model: its bytes, or why there are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE
from tasks.corpus.clips import hash_content
from tasks.corpus.listing import clip_file
from tasks.extraction.headers import Prober
from tasks.extraction.inputs import unpack
from tasks.extraction.registry import extractor_of
from tasks.extraction.rows import NOTED, extract_clip
from tasks.labels.audio_cache import AudioCache
from tasks.transcription.asr_models import asr_key
from tasks.transcription.settings import AsrSettings, settings_of_extractors
from tests.spoken import spoken

SENTENCE = "I would like to thank you for your help with this project."
Extract = Callable[..., dict[str, Any]]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    soundfile.write(folder / "speech.wav", spoken(SENTENCE), SAMPLING_RATE)
    soundfile.write(folder / "quiet.wav", np.zeros(SAMPLING_RATE, np.int16), SAMPLING_RATE)
    (folder / "no clip.wav").write_text("some words")
    return folder


@pytest.fixture
def extracted(corpus: Path, prober: Prober, asr: AsrSettings) -> Extract:
    def extract(name: str, **needs: bool) -> dict[str, Any]:
        return extract_clip(
            clip_file(name, bytes(corpus / name)),
            max_seconds=12.0,
            timeout_seconds=30,
            prober=prober,
            needs=needs,
            options={"text": asr},
        )

    return extract


def test_text_is_what_is_said(extracted: Extract) -> None:
    row = extracted("speech.wav", audio=True, text=True)
    assert row["modalities"] == ["audio", "text"]
    text = unpack(row)["text"]
    assert text.dtype == np.uint8
    assert text.tobytes().decode().lower().strip(".") == SENTENCE.lower().strip(".")
    assert row[NOTED]["text"]["num_words"] == 12
    assert row[NOTED]["text"]["language"] == "en"


def test_a_clip_without_speech_has_no_text(extracted: Extract) -> None:
    row = extracted("quiet.wav", audio=True, text=False)
    assert (row["status"], row["modalities"]) == ("scored", ["audio"])
    row = extracted("quiet.wav", audio=True, text=True)
    assert (row["reason"], row["detail"]) == ("no_speech", "nobody speaks in the 1.0 s of sound")
    row = extracted("no clip.wav", text=True)
    assert (row["status"], row["reason"]) == ("rejected", "unreadable")


def test_it_is_heavy_and_its_folder_names_the_asr_model(
    asr: AsrSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = extractor_of("text")
    assert found.own_stage
    monkeypatch.delenv("EMI_ASR", raising=False)
    assert found.folder({"text": asr}) == f"text-v{found.version}-{asr_key(asr)}"
    with pytest.raises(ConfigError, match="found no ASR model"):
        found.folder()
    monkeypatch.setenv("EMI_ASR", asr.model)
    assert found.folder() == found.folder({"text": AsrSettings(asr.model)})
    others = [AsrSettings(asr.model), AsrSettings(asr.model, "en", 1), asr]
    assert len({asr_key(one) for one in others}) == 3
    assert asr_key(AsrSettings(asr.model, None, 1, keep_text=False)) == asr_key(asr)


def test_only_a_model_that_reads_needs_settings(
    asr: AsrSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EMI_ASR", raising=False)
    assert settings_of_extractors({"audio"}, None) == {}
    assert settings_of_extractors({"audio", "text"}, asr.model, "en") == {
        "text": AsrSettings(asr.model, "en")
    }
    with pytest.raises(ConfigError, match=r"give --asr"):
        settings_of_extractors({"text"}, None)


def test_the_cache_keeps_text_and_facts_by_asr_model(
    corpus: Path, tmp_path: Path, asr: AsrSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [clip_file(name, bytes(corpus / name)) for name in ("speech.wav", "quiet.wav")]
    hashes = [hash_content(corpus / clip.clip_id) or "" for clip in clips]
    needs = {"audio": True, "text": False}
    cache = AudioCache(tmp_path / "cache", needs, {"text": asr})
    assert cache.fill(list(zip(clips, hashes, strict=True)), decoders=2) == {}
    inputs = [cache.inputs(content) for content in hashes]
    assert [[*one] for one in inputs] == [["audio", "text"], ["audio"]]
    assert b"thank you" in inputs[0]["text"].tobytes()
    facts = [cache.facts(content, "text") for content in hashes]
    assert [(one["language"], one["num_words"]) for one in facts] == [("en", 12), (None, 0)]
    assert cache.facts(hashes[0], "audio") == {}

    monkeypatch.setattr("tasks.extraction.text.Transcriber", None)  # nothing is heard again
    monkeypatch.setattr("tasks.labels.audio_cache.extract_clip", None)
    assert cache.fill(list(zip(clips, hashes, strict=True)), decoders=2) == {}
    other = AudioCache(tmp_path / "cache", needs, {"text": AsrSettings(asr.model, "en", 1)})
    assert other.facts(hashes[0], "text") == {}
