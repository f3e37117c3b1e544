"""Players hold the sound of the clips that were scored, and of no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import soundfile

from emi_model.errors import ConfigError, CorpusError
from tasks.corpus.clips import hash_content
from tasks.reports import players
from tasks.reports.players import MAX_PLAYERS, Voices
from tasks.reports.report import make_report
from tasks.store.store import ResultsStore
from tests.tasks.reports.pages import Page

START = "data:audio/ogg;base64,"


@pytest.fixture
def corpus(make_media: Callable[..., Path]) -> Path:
    """Return a folder with a tone of one second, and a text beside it."""
    tone = make_media("tone.wav", seconds=1.0)
    folder = tone.parent / "corpus"
    folder.mkdir()
    tone.rename(folder / "tone.wav")
    (tone.parent / "secret.wav").write_bytes((folder / "tone.wav").read_bytes())
    (folder / "notes.wav").write_text("no sound")
    return folder


def test_sounds_and_why_some_are_left_out(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tone = hash_content(corpus / "tone.wav")
    notes = hash_content(corpus / "notes.wav")
    with Voices(str(corpus), 1) as voices:
        sound = voices.sound("tone.wav", tone)
        assert sound is not None
        assert sound.startswith(START)
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound.removeprefix(START))))
        assert len(samples) / rate == pytest.approx(1.0, abs=0.05)
        assert abs(samples).max() > 0.05
        assert len(sound) < 8_000
        assert voices.sound("gone.wav", tone) is None
        assert voices.sound("tone.wav", tone) == sound
        assert voices.sound("../secret.wav", tone) is None
        assert voices.sound(str(corpus.parent / "secret.wav"), tone) is None
        assert voices.sound("notes.wav", tone) is None
        assert voices.notes() == [
            "No player of gone.wav: it is not in the corpus.",
            "No player of ../secret.wav: it is not in the corpus.",
            f"No player of {corpus.parent / 'secret.wav'}: it is not in the corpus.",
            "No player of notes.wav: its file is not the one that was scored.",
        ]
    with Voices(str(corpus), 1) as voices:
        assert voices.sound("notes.wav", notes) is None
        monkeypatch.setattr(players, "MAX_SOUND_BYTES", 100)
        assert voices.sound("tone.wav", tone) is None
        unreadable, large = voices.notes()
        assert "unreadable" in unreadable
        assert "too large" in large


def test_clips_of_a_manifest_and_of_one_file(corpus: Path) -> None:
    tone = hash_content(corpus / "tone.wav")
    manifest = corpus.parent / "list.csv"
    manifest.write_text("uri,clip_id\ncorpus/tone.wav,one\n")
    with Voices(str(manifest), 1) as voices:
        assert voices.sound("one", tone)
        assert voices.sound("tone.wav", tone) is None
    with Voices(str(corpus / "tone.wav"), 1) as voices:
        assert voices.sound("tone.wav", tone)
        assert voices.sound("other.wav", tone) is None


def test_clips_of_a_bucket(
    corpus: Path, bucket: str, put_objects: Callable[[str, Mapping[str, bytes]], None]
) -> None:
    tone = corpus / "tone.wav"
    put_objects(f"{bucket}/clips", {"a/tone.wav": tone.read_bytes()})
    with Voices(f"{bucket}/clips", 1) as voices:
        assert voices.sound("a/tone.wav", hash_content(tone))
        assert voices.sound("b/tone.wav", hash_content(tone)) is None
        assert voices.sound("../clips/a/tone.wav", hash_content(tone)) is None


def test_players_in_a_page(corpus: Path, store: ResultsStore, commit: Callable[..., None]) -> None:
    commit("one", "tone.wav", value=0.9, content_sha256=hash_content(corpus / "tone.wav"))
    commit("two", "other.wav", value=0.1)
    page = Page(make_report(store.location, corpus=str(corpus), num_players=1).html)
    sounds = page.every("audio")
    assert len(sounds) == 6  # of each emotion's first
    assert {str(one["src"])[: len(START)] for one in sounds} == {START}
    assert {one["aria-label"] for one in sounds} == {"Sound of tone.wav"}


def test_what_players_refuse(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        Voices(str(tmp_path / "none"), 1)
    with pytest.raises(ConfigError, match=f"found {MAX_PLAYERS + 1} players, expected 0 to"):
        Voices(str(tmp_path), MAX_PLAYERS + 1)
