"""Clips of a bucket where clips of a disk are taken: rows, the audio cache, labels."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emi_model.errors import CorpusError, LabelError
from tasks.corpus.clips import ClipFile, hash_content
from tasks.corpus.listing import clip_file, list_clips
from tasks.extraction.audio import Extraction
from tasks.extraction.headers import Prober
from tasks.extraction.rows import extract_clip, listed_row
from tasks.labels import offered as labelling
from tasks.labels.add_labels import add_labels
from tasks.labels.audio_cache import AudioCache
from tasks.labels.label_file import read_labels
from tasks.labels.label_set import load_labels
from tasks.labels.labelled_clips import load_labelled_audio
from tasks.storage.open import open_folder
from tests.faulty_bucket import FaultyBucket
from tests.tasks.labels.labelled_corpus import write_labelled

MakeMedia = Callable[..., Path]
NAME = "talk é #1 %20?.mp4"


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the scratch folder."""
    monkeypatch.setenv("EMI_SCRATCH", str(tmp_path / "room"))
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tasks.corpus.fetching.PAUSES_SECONDS", (0.0,))
    return tmp_path / "room"


def upload(path: Path, bucket: str, name: str | None = None) -> ClipFile:
    open_folder(bucket).write(name or path.name, path.read_bytes())
    return clip_file(name or path.name, f"{bucket}/{name or path.name}".encode())


class TestRow:
    def row(self, clip: ClipFile, prober: Prober) -> dict[str, Any]:
        return extract_clip(clip, max_seconds=12.0, timeout_seconds=30, prober=prober)

    def test_it_is_that_of_the_same_file(
        self, make_media: MakeMedia, bucket: str, prober: Prober, room: Path
    ) -> None:
        path = make_media("a.mp4", "-c:a", "aac", picture_seconds=1.0)
        clip = upload(path, bucket, NAME)
        row = self.row(clip, prober)
        own = self.row(clip_file(NAME, bytes(path)), prober)
        where = {"uri": f"{bucket}/{NAME}", "modified_ns": clip.modified_ns}
        assert row == own | where
        assert row["status"] == "scored"
        assert listed_row(clip)["content_sha256"] == own["content_sha256"]
        assert list(room.glob("emi-*")) == []

    @pytest.mark.parametrize("content", [b"", b"no media at all"])
    def test_a_bad_clip_is_rejected_as_on_a_disk(
        self, content: bytes, bucket: str, prober: Prober, tmp_path: Path
    ) -> None:
        (tmp_path / "bad.mp4").write_bytes(content)
        row = self.row(upload(tmp_path / "bad.mp4", bucket), prober)
        own = self.row(clip_file("bad.mp4", bytes(tmp_path / "bad.mp4")), prober)
        differing = {name for name in row if row[name] != own[name]}
        assert differing == {"uri", "modified_ns"}
        assert row["content_sha256"] == hash_content(tmp_path / "bad.mp4")

    def test_one_that_is_not_to_be_had(self, faulty: FaultyBucket, prober: Prober) -> None:
        faulty.objects = {"a.mp4": b"abc", "b.mp4": b"abc"}
        faulty.faults["b.mp4"] = (403, "AccessDenied")
        gone, forbidden = list_clips(faulty.uri)
        del faulty.objects["a.mp4"]
        for clip, reason in ((gone, "missing"), (forbidden, "unreadable")):
            row = self.row(clip, prober)
            assert (row["status"], row["reason"]) == ("rejected", reason)
            assert (row["content_sha256"], row["bytes"]) == (None, 3)

    def test_a_replaced_one_is_what_it_is_now(
        self, make_media: MakeMedia, bucket: str, prober: Prober
    ) -> None:
        listed = upload(make_media("a.wav"), bucket)
        path = make_media("a.wav", seconds=2.0)
        now = upload(path, bucket)
        row = self.row(listed, prober)
        assert (row["bytes"], row["modified_ns"]) == (now.size, now.modified_ns)
        assert (row["content_sha256"], row["duration_seconds"]) == (hash_content(path), 2.0)


def test_the_cache_takes_clips_of_a_bucket(
    make_media: MakeMedia, bucket: str, tmp_path: Path, take: Callable[..., Extraction]
) -> None:
    path = make_media("a.m4a", seconds=0.5)
    content = hash_content(path)
    assert content is not None
    cache = AudioCache(tmp_path / "cache")
    clips = [upload(path, bucket, NAME), upload(path, bucket, "other.m4a")]
    assert cache.fill([(clips[0], content)], decoders=2) == {}
    assert np.array_equal(cache.read(content), take(path).waveform)
    failures = cache.fill([(clips[1], "ab" * 32)], decoders=1)
    assert failures["other.m4a"].reason == "changed"


class TestLabels:
    def test_corpus_and_label_file_in_a_bucket(self, bucket: str, tmp_path: Path) -> None:
        written = write_labelled(tmp_path / "corpus", ["train", "valid", "train"])
        for path in written.parent.iterdir():
            upload(path, f"{bucket}/my corpus")
        store = tmp_path / "store"
        source = f"{bucket}/my corpus"
        report = add_labels(store, f"{source}/labels.csv", source)
        assert report.clips_by_split == {"train": 2, "valid": 1, "test": 0}
        found = load_labelled_audio(load_labels(store), source, ("train", "valid"))
        assert found.missing == {}
        assert [clip.clip_id for clip in found.of_split("train")] == ["000.wav", "002.wav"]
        assert {len(clip.inputs["audio"]) for clip in found.of_split("train")} == {6400}
        own = add_labels(tmp_path / "own", written, str(written.parent))
        assert own.snapshot == report.snapshot

    def test_a_clip_that_cannot_be_read_is_a_problem_of_its_line(
        self, faulty: FaultyBucket, tmp_path: Path
    ) -> None:
        faulty.objects = {"a.wav": b"abc", "b.wav": b"abcd"}
        faulty.faults["b.wav"] = (403, "AccessDenied")
        (tmp_path / "labels.csv").write_text("filename,joy\na,0.5\nb,0.5\n", encoding="utf-8")
        with pytest.raises(LabelError, match=r"line 3: b\.wav cannot be read"):
            add_labels(tmp_path / "store", tmp_path / "labels.csv", faulty.uri)

    def test_a_label_file_that_is_not_there(self, bucket: str, faulty: FaultyBucket) -> None:
        for uri in (f"{bucket}/labels.csv", bucket, f"{faulty.uri}/labels.csv"):
            with pytest.raises(LabelError, match=f"^cannot read the label file {uri}: [^\n]*$"):
                read_labels(uri)


def test_hashes_are_read_many_at_a_time(
    faulty: FaultyBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.objects = {f"{n}.wav": bytes(n) for n in range(12)}
    clips = list_clips(faulty.uri)
    hash_clip, together = labelling.hash_clip, threading.Barrier(len(clips), timeout=20)

    def wait_for_others(clip: ClipFile) -> str | None:
        together.wait()
        return hash_clip(clip)

    with monkeypatch.context() as patched:
        patched.setattr(labelling, "hash_clip", wait_for_others)
        assert None not in labelling._hashed(clips, None).values()
    faulty.faults = dict.fromkeys(["", *faulty.objects], (503, "SlowDown"))
    with pytest.raises(CorpusError, match="does not answer"):
        labelling._hashed(clips, None)
