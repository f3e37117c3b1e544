from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emi_model.errors import ConfigError, CorpusError, MediaToolError
from emi_model.metrics.agreement import pearson
from tasks.extraction.audio import Extraction, extract
from tasks.extraction.headers import Prober
from tasks.schema.outcomes import Reason, Rejection
from tasks.synthetic.corpus import LABEL_COLUMNS, WrittenCorpus, plan_corpus, speak, write_corpus

Floats = NDArray[np.float64]
Corpus = tuple[WrittenCorpus, list[tuple[int, int]]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Write a small corpus once; return it and the progress that was reported."""
    steps: list[tuple[int, int]] = []
    written = write_corpus(
        tmp_path_factory.mktemp("corpus"),
        num_clips=8,
        num_speakers=4,
        seed=3,
        on_progress=lambda done, total: steps.append((done, total)),
    )
    return written, steps


def test_every_clip_has_its_file_and_its_row_of_labels(corpus: Corpus) -> None:
    written, steps = corpus
    with written.labels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == LABEL_COLUMNS
    assert [row["filename"] for row in rows] == [clip.clip_id for clip in written.clips]
    shares = [c.expression.intensities[5] for c in written.clips]
    assert [float(row["joy"]) for row in rows] == shares
    files = {path.relative_to(written.folder).as_posix() for path in written.folder.rglob("*.mp4")}
    assert files == {row["filename"] for row in rows} | set(written.broken)
    assert steps == [(done, 8) for done in range(1, 9)]


def test_clips_sound_as_they_were_spoken(corpus: Corpus, prober: Prober) -> None:
    written, _ = corpus
    for clip in written.clips[2:5]:
        spoken = speak(clip)
        heard = extract(written.folder / clip.clip_id, max_seconds=None, prober=prober)
        assert isinstance(heard, Extraction)
        assert (heard.codec, heard.sampling_rate) == ("aac", clip.audio_rate)
        assert len(heard.waveform) == pytest.approx(len(spoken), abs=1600)
        common = min(len(spoken), len(heard.waveform))
        correlation = pearson(heard.waveform[:common], spoken[:common])
        assert correlation is not None
        assert correlation > 0.8  # AAC changes the hiss, and by a few samples the place


def test_broken_files_are_broken_in_ways_of_their_own(corpus: Corpus, prober: Prober) -> None:
    written, _ = corpus
    found = {
        Path(clip_id).name: extract(written.folder / clip_id, max_seconds=12.0, prober=prober)
        for clip_id in written.broken
    }
    blink = found.pop("blink.mp4")
    assert isinstance(blink, Extraction)
    assert 0 < len(blink.waveform) < 400
    silent_film = found.pop("silent_film.mp4")
    assert isinstance(silent_film, Rejection)
    assert silent_film.reason == Reason.NO_AUDIO_TRACK
    assert set(found) == {"empty.mp4", "notes.mp4", "cut_off.mp4", "playlist.mp4"}
    assert all(isinstance(rejection, Rejection) for rejection in found.values())


def test_the_seed_gives_the_same_bytes_again(corpus: Corpus, tmp_path: Path) -> None:
    written, _ = corpus
    again = write_corpus(tmp_path / "again", num_clips=8, num_speakers=4, seed=3)
    for path in sorted(written.folder.rglob("*.*")):
        assert (again.folder / path.relative_to(written.folder)).read_bytes() == path.read_bytes()


def test_another_seed_gives_other_voices() -> None:
    first, second = (speak(plan_corpus(num_clips=4, num_speakers=4, seed=s)[1]) for s in (3, 4))
    assert len(first) != len(second)


def test_no_speaker_is_in_both_splits() -> None:
    clips = plan_corpus()
    speakers = {
        split: {clip.speaker.name for clip in clips if clip.split == split}
        for split in ("train", "valid")
    }
    assert (len(speakers["train"]), len(speakers["valid"])) == (8, 4)
    assert not speakers["train"] & speakers["valid"]
    assert sum(clip.split == "train" for clip in clips) == 80
    assert len({clip.clip_id for clip in clips}) == 120


def test_durations_and_labels_are_those_of_a_sparse_corpus_of_short_clips() -> None:
    clips = plan_corpus()
    seconds = np.array([clip.seconds for clip in clips])
    intensities = np.array([clip.expression.intensities for clip in clips])
    assert (seconds > 12.0).sum() == 2
    assert seconds.mean() == pytest.approx(4.0, abs=0.5)
    assert 0.6 < (intensities == 0).mean() < 0.8
    for split in ("train", "valid"):
        rows = intensities[[clip.split == split for clip in clips]]
        assert (np.count_nonzero(rows, axis=0) >= len(rows) / 6).all()


def test_nothing_but_the_voice_knows_the_labels() -> None:
    clips = plan_corpus(num_clips=1200)
    intensities = np.array([clip.expression.intensities for clip in clips]).T
    loudness = [float(speak(clip)[:20_000].std()) for clip in clips[::120]]
    assert min(loudness) > 500
    for known in ([clip.seconds for clip in clips], [clip.audio_rate for clip in clips]):
        correlations = [pearson(known, labels) for labels in intensities]
        assert all(abs(value or 0.0) < 0.1 for value in correlations)


def test_unseen_speakers_can_be_rated_from_simple_statistics() -> None:
    """The demo's task is there to be learnt: log-mel statistics and ridge regression do it."""
    clips = plan_corpus(num_clips=48)
    features = np.array([_mel_statistics(speak(clip).astype(np.float64)) for clip in clips])
    labels = np.array([clip.expression.intensities for clip in clips])
    train = np.array([clip.split == "train" for clip in clips])
    features = (features - features[train].mean(axis=0)) / (features[train].std(axis=0) + 1e-6)
    kernel = features[train] @ features[train].T + 30.0 * np.eye(train.sum())
    dual = np.linalg.solve(kernel, labels[train] - labels[train].mean(axis=0))
    predictions = features[~train] @ features[train].T @ dual
    rated = [pearson(p, y) for p, y in zip(predictions.T, labels[~train].T, strict=True)]
    assert min(value or 0.0 for value in rated) > 0.6
    assert np.mean([value or 0.0 for value in rated]) > 0.8


def _mel_statistics(waveform: Floats) -> Floats:
    """Return means, deviations and speeds of 32 log-mel bands of a normalised waveform."""
    normalised = (waveform - waveform.mean()) / waveform.std()
    frames = np.lib.stride_tricks.sliding_window_view(normalised, 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(512, 1 / 16_000) / 700)
    centres = np.linspace(0.0, mel[-1], 34)
    bands = np.maximum(0.0, 1 - np.abs(mel[:, None] - centres[1:-1]) / centres[1])
    levels = np.log(power @ bands + 1e-3)
    change = np.abs(np.diff(levels, axis=0))
    parts = (levels.mean(axis=0), levels.std(axis=0), change.mean(axis=0), change.std(axis=0))
    return np.concatenate(parts)


@pytest.mark.parametrize(("num_clips", "num_speakers"), [(10, 2), (3, 4)])
def test_too_few_speakers_or_clips_are_refused(num_clips: int, num_speakers: int) -> None:
    with pytest.raises(ConfigError, match="expected 3 speakers or more"):
        plan_corpus(num_clips=num_clips, num_speakers=num_speakers)


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(CorpusError, match="is not empty"):
        write_corpus(tmp_path)


def test_an_encoder_that_fails_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_ffmpeg: Callable[[str], Path]
) -> None:
    monkeypatch.setenv("EMI_FFMPEG", str(fake_ffmpeg("echo no room >&2; exit 3")))
    folder = tmp_path / "corpus"
    with pytest.raises(MediaToolError, match=r"speaker0.*no room"):
        write_corpus(folder, num_clips=3, num_speakers=3)
    assert not folder.exists()


def test_after_an_error_no_further_clip_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_ffmpeg: Callable[[str], Path]
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("EMI_FFMPEG", str(fake_ffmpeg(f'echo >> "{log}"; exit 3')))
    with pytest.raises(MediaToolError):
        write_corpus(tmp_path / "corpus", num_clips=24, num_speakers=3)
    assert len(log.read_text()) < 12


def test_who_interrupts_it_may_begin_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.synthetic.corpus.OVERLONG_SECONDS", 2.5)

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_corpus(tmp_path / "corpus", num_clips=3, num_speakers=3, on_progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    assert write_corpus(tmp_path / "corpus", num_clips=3, num_speakers=3).labels.exists()


@pytest.fixture
def fake_ffmpeg(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes a program of a line of shell."""

    def make(line: str) -> Path:
        path = tmp_path / "fake-ffmpeg"
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
        return path

    return make
