from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tasks.extraction.registry import ClipMedia, register_extractor
from tasks.labels.add_labels import add_labels
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import LabelledAudio, load_labelled_audio
from tasks.schema.outcomes import Reason, Rejection
from tests.tasks.labels.labelled_corpus import labelled_store

SPLITS = ["train", "train", "valid", "test", "train"]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))


def test_clips_come_by_split_with_their_audio(tmp_path: Path) -> None:
    corpus, store = labelled_store(tmp_path, SPLITS)
    told: list[tuple[int, int]] = []
    found = load_labelled_audio(
        load_labels(store),
        str(corpus),
        ("train", "valid"),
        on_progress=lambda *counts: told.append(counts),
    )
    assert [clip.clip_id for clip in found.of_split("train")] == ["000.wav", "001.wav", "004.wav"]
    assert [clip.clip_id for clip in found.of_split("valid")] == ["002.wav"]
    assert found.of_split("test") == ()
    assert found.missing == {}
    assert told[-1] == (4, 4)
    (clip,) = found.of_split("valid")
    original, _ = soundfile.read(corpus / "002.wav", dtype="int16")
    assert np.array_equal(clip.inputs["audio"], original)
    assert clip.num_samples == len(original)
    assert clip.speaker == "valid2"


def test_what_cannot_be_heard_is_missing_and_says_why(tmp_path: Path) -> None:
    corpus, store = labelled_store(tmp_path, SPLITS)
    labels = load_labels(store)
    (corpus / "000.wav").unlink()
    soundfile.write(corpus / "001.wav", np.zeros(9000, np.int16), 16_000)
    found = load_labelled_audio(labels, str(corpus), ("train", "valid"))
    assert [clip.clip_id for clip in found.of_split("train")] == ["004.wav"]
    assert found.missing["000.wav"] == "not in the corpus"
    assert found.missing["001.wav"].startswith("changed: ")


def test_a_clip_of_less_than_a_frame_is_missing(tmp_path: Path) -> None:
    corpus, store = labelled_store(tmp_path, ["train", "valid"])
    soundfile.write(corpus / "000.wav", np.ones(399, np.int16), 16_000)
    add_labels(store, corpus / "labels.csv", str(corpus))
    found = load_labelled_audio(load_labels(store), str(corpus), ("train",))
    assert found.missing == {"000.wav": "399 samples, expected 400 or more"}


def test_audio_is_extracted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, store = labelled_store(tmp_path, SPLITS)
    load_labelled_audio(load_labels(store), str(corpus), ("train", "valid"))
    monkeypatch.setenv("EMI_FFMPEG", "/bin/false")
    again = load_labelled_audio(load_labels(store), str(corpus), ("train", "valid"))
    assert len(again.of_split("train")) == 3
    assert again.missing == {}
    assert len(again.of_split("train")[0].inputs["audio"]) == 6400


def test_a_corpus_that_composes_accents_another_way(tmp_path: Path) -> None:
    corpus, store = labelled_store(tmp_path, ["train", "valid"])
    composed, taken_apart = (unicodedata.normalize(f, "ë.wav") for f in ("NFC", "NFD"))
    (corpus / "000.wav").rename(corpus / composed)
    (tmp_path / "labels.csv").write_text(f"filename,split,Noise,Tone\n{composed},train,0,1\n")
    add_labels(store, tmp_path / "labels.csv", str(corpus))
    (corpus / composed).rename(corpus / taken_apart)
    found = load_labelled_audio(load_labels(store), str(corpus), ("train",))
    assert [clip.clip_id for clip in found.of_split("train")] == [composed]


@register_extractor("seen", version=1, key=lambda _: "")
def seen(media: ClipMedia) -> NDArray[np.uint8] | Rejection:
    """Give three numbers, or the reason that the settings name for clip 000."""
    reason = media.options.get("seen") if media.path.stem == "000" else None
    return np.ones(3, np.uint8) if reason is None else Rejection(reason=reason, detail="not seen")


def test_a_failure_that_may_pass_does_not_mean_that_a_clip_lacks_an_input(tmp_path: Path) -> None:
    corpus, store = labelled_store(tmp_path, ["train", "train", "valid"])

    def loaded(reason: Reason | None, *, needed: bool = False) -> LabelledAudio:
        needs, options = {"audio": True, "seen": needed}, {"seen": reason}
        return load_labelled_audio(
            load_labels(store), str(corpus), ["train"], needs=needs, options=options
        )

    for reason in (Reason.TIMEOUT, Reason.WORKER_DIED, Reason.OUT_OF_MEMORY, Reason.BAD_SERIES):
        found = loaded(reason)
        assert found.missing == {"000.wav": f"{reason}: not seen"}
        assert [clip.clip_id for clip in found.of_split("train")] == ["001.wav"]
    found = loaded(Reason.NO_FACE)
    assert found.missing == {}
    clip = found.of_split("train")[0]
    assert clip.absent == ("seen",)
    (noted,) = (tmp_path / "home" / "cache").rglob("*.absent")
    assert loaded(None).of_split("train")[0].absent == ("seen",)  # it is not extracted again
    assert loaded(None, needed=True).missing == {}
    assert not noted.exists()
    noted.touch()  # as an earlier version left it
    assert (clip.absent, [*clip.inputs]) == ((), ["audio", "seen"])
