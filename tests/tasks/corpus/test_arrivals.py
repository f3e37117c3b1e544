from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emi_model.errors import CorpusError
from tasks.corpus.arrivals import SETTLED_SECONDS, clips_without_rows, is_settled
from tasks.corpus.clips import ClipFile, hash_content
from tasks.store.store import ResultsStore
from tests.places import DISK_AND_BUCKET


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a", "b", "c"):
        _written(folder / f"{name}.mp4", name * 5)
    return folder


def _written(path: Path, content: str, age: float = 60.0) -> None:
    path.write_text(content)
    moment = time.time() - age
    os.utime(path, (moment, moment))


def _new(corpus: Path, store: ResultsStore) -> list[str]:
    return sorted(clip.clip_id for clip in clips_without_rows(str(corpus), store.location))


@DISK_AND_BUCKET
def test_clips_are_new_until_there_is_a_row(
    corpus: Path, store: ResultsStore, commit: Callable[..., None]
) -> None:
    assert _new(corpus, store) == ["a.mp4", "b.mp4", "c.mp4"]
    path = corpus / "b.mp4"
    status = path.stat()
    facts = {
        "content_sha256": hash_content(path),
        "bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
    }
    commit("part", "b.mp4", model_sha256="11" * 32, **facts)  # whatever the model
    assert _new(corpus, store) == ["a.mp4", "c.mp4"]
    _written(path, "another content")
    assert _new(corpus, store) == ["a.mp4", "b.mp4", "c.mp4"]


def test_what_could_not_be_read_is_new_once(
    corpus: Path, store: ResultsStore, commit: Callable[..., None]
) -> None:
    status = (corpus / "a.mp4").stat()
    facts = {"content_sha256": None, "bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    commit("part", "a.mp4", reason="too_large", **facts)
    assert _new(corpus, store) == ["b.mp4", "c.mp4"]
    _written(corpus / "a.mp4", "another content")
    assert _new(corpus, store) == ["a.mp4", "b.mp4", "c.mp4"]


def test_without_a_time_another_content_is_new(
    corpus: Path, store: ResultsStore, commit: Callable[..., None]
) -> None:
    """No clock says 2300: the content decides, also where the size stays."""
    path = corpus / "b.mp4"
    os.utime(path, (10_413_792_000, 10_413_792_000))
    facts = {"content_sha256": hash_content(path), "bytes": 5, "modified_ns": None}
    commit("part", "b.mp4", **facts)
    assert _new(corpus, store) == ["a.mp4", "c.mp4"]
    path.write_text("B" * 5)
    os.utime(path, (10_413_792_000, 10_413_792_000))
    assert _new(corpus, store) == ["a.mp4", "b.mp4", "c.mp4"]


def test_a_clip_that_may_still_be_written_waits(corpus: Path, tmp_path: Path) -> None:
    _written(corpus / "b.mp4", "half", age=SETTLED_SECONDS / 2)
    found = clips_without_rows(str(corpus), str(tmp_path / "store"))
    assert [clip.clip_id for clip in found] == ["a.mp4", "c.mp4"]


def test_a_clip_of_a_wrong_clock_does_not_wait_for_its_day(corpus: Path, tmp_path: Path) -> None:
    _written(corpus / "a.mp4", "of a camera", age=-86_400.0)
    _written(corpus / "b.mp4", "of a drive whose clock is ahead", age=-60.0)
    found = clips_without_rows(str(corpus), str(tmp_path / "store"))
    assert [clip.clip_id for clip in found] == ["a.mp4", "c.mp4"]


def test_a_corpus_without_clips_is_said(tmp_path: Path) -> None:
    with pytest.raises(CorpusError):
        clips_without_rows(str(tmp_path / "none"), str(tmp_path / "store"))


@pytest.mark.parametrize("modified_ns", [None, 1])
def test_a_clip_of_an_impossible_time_is_settled(modified_ns: int | None) -> None:
    assert is_settled(ClipFile("a.mp4", b"a.mp4", 5, modified_ns))
    assert not is_settled(ClipFile("a.mp4", b"a.mp4", None, None))
