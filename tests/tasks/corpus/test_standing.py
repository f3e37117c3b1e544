"""Which clips of a store are gone, and which model's scores are shown."""

from __future__ import annotations

import os

import pytest

from emi_model.errors import StoreError
from tasks.corpus.listing import list_clips
from tasks.corpus.standing import is_folder, is_one_file, note_current, note_listing
from tasks.scoring.commit import tables_of
from tasks.storage.open import open_folder
from tasks.store.query import answer
from tasks.store.store import open_store
from tests.places import DISK_AND_BUCKET

A = {"model": "a", "model_sha256": "aa", "coverage": "first", "run_id": "r1"}
B = {"model": "b", "model_sha256": "bb", "coverage": "first", "run_id": "r2"}

NO_TEXT = os.fsdecode(b"\xff.wav")


@pytest.fixture
def corpus(tmp_path):
    """Return a folder with three clips, one of them named in bytes that are no text."""
    folder = tmp_path / "corpus"
    (folder / "below").mkdir(parents=True)
    for name in ("a b.wav", "below/c.wav", NO_TEXT):
        (folder / name).touch()
    return folder


@pytest.fixture
def scan(store, make_rows, make_stamp):
    """Return a function that lists a source and commits a row for each new clip."""

    def scan_source(source, *, whole=True, run_id="r1"):
        clips = list_clips(str(source))
        shown = {row["clip_id"] for row in answer(store.location, "FROM all_scores").to_pylist()}
        new = [clip for clip in clips if clip.clip_id not in shown]
        note_listing(store, str(source), clips, whole=whole)
        for clip in new:
            rows = make_rows(clip.clip_id, uri=clip.uri)
            store.commit(f"{run_id}-{len(shown)}-{hash(clip)}", tables_of(rows, make_stamp()))
        return shown_by(store)

    return scan_source


def shown_by(store):
    return sorted(row["clip_id"] for row in answer(store.location, "FROM scores").to_pylist())


def missing_in(store):
    sql = "SELECT clip_id FROM all_scores WHERE missing_since IS NOT NULL ORDER BY ALL"
    return [row["clip_id"] for row in answer(store.location, sql).to_pylist()]


@DISK_AND_BUCKET
class TestMissing:
    def test_a_renamed_and_a_deleted_clip_leave_the_scores(self, scan, store, corpus):
        assert scan(corpus) == ["\\xff.wav", "a b.wav", "below/c.wav"]
        (corpus / "a b.wav").rename(corpus / "new.wav")
        (corpus / "below" / "c.wav").unlink()
        assert scan(corpus, run_id="r2") == ["\\xff.wav", "new.wav"]
        assert missing_in(store) == ["a b.wav", "below/c.wav"]
        assert answer(store.location, "FROM timeline").num_rows == 4
        assert answer(store.location, "FROM all_timeline").num_rows == 8

    def test_one_that_comes_back_is_shown_again(self, scan, store, corpus):
        scan(corpus)
        (corpus / NO_TEXT).unlink()
        scan(corpus)
        assert missing_in(store) == ["\\xff.wav"]
        since = answer(store.location, "SELECT missing_since FROM missing_clips").to_pylist()
        scan(corpus)
        assert (
            answer(store.location, "SELECT missing_since FROM missing_clips").to_pylist() == since
        )
        (corpus / NO_TEXT).touch()
        assert "\\xff.wav" in scan(corpus)
        assert missing_in(store) == []


class TestOtherSources:
    def test_a_part_of_the_corpus_makes_nothing_missing(self, scan, store, corpus, tmp_path):
        scan(corpus)
        (corpus / "a b.wav").unlink()
        other = tmp_path / "other"
        other.mkdir()
        (other / "x.wav").touch()
        manifest = tmp_path / "some.csv"
        manifest.write_text("clip_id,uri\nbelow/c.wav,corpus/below/c.wav\n")
        for source in (other, manifest, corpus / "below", corpus / "below" / "c.wav"):
            scan(source, run_id=source.name)
            assert missing_in(store) == []
        scan(corpus, whole=False)
        assert missing_in(store) == []
        scan(corpus)
        assert missing_in(store) == ["a b.wav"]

    def test_a_folder_is_the_same_however_it_is_named(
        self, scan, store, corpus, monkeypatch: pytest.MonkeyPatch
    ):
        scan(corpus)
        (corpus / "a b.wav").unlink()
        monkeypatch.chdir(corpus / "below")
        scan("..")
        assert missing_in(store) == ["a b.wav"]

    def test_a_folder_that_was_moved_answers_for_what_it_held(self, scan, store, corpus, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        (other / "x.wav").touch()
        scan(corpus)
        scan(other, run_id="r2")
        (other / "x.wav").unlink()  # as if its disk were away
        moved = corpus.rename(tmp_path / "moved")
        (moved / "a b.wav").rename(moved / "new.wav")
        assert scan(moved, run_id="r3") == ["\\xff.wav", "below/c.wav", "new.wav", "x.wav"]
        assert missing_in(store) == ["a b.wav"]

    def test_a_write_that_fails_leaves_what_was_known(self, scan, store, corpus, monkeypatch):
        scan(corpus)
        (corpus / "a b.wav").unlink()
        scan(corpus)
        (corpus / "below" / "c.wav").unlink()

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("tasks.store.writers.place", full)
        with pytest.raises(StoreError, match="No space left"):
            scan(corpus)
        assert missing_in(open_store(store.location)) == ["a b.wav"]

    def test_a_clip_in_a_bucket_is_known_by_its_address(self, scan, store, bucket):
        folder = open_folder(f"{bucket}/a corpus")
        for name in ("a b.wav", "below/c#.wav"):
            folder.write(name, b"abc")
        for source, kind in (
            (f"{bucket}/a corpus/", (True, False)),
            (f"{bucket}/a corpus/a b.wav", (False, True)),
        ):
            clips = list_clips(source)
            assert (is_folder(source, clips), is_one_file(source, clips)) == kind
            scan(source)
        folder.remove("below/c#.wav")
        scan(f"{bucket}/a corpus/a b.wav", run_id="r3")
        assert missing_in(store) == []
        scan(f"{bucket}/a corpus", run_id="r4")
        assert missing_in(store) == ["below/c#.wav"]


class TestCurrent:
    def shown(self, store):
        found = answer(store.location, "SELECT DISTINCT model, coverage FROM scores").to_pylist()
        return [tuple(row.values()) for row in found]

    @pytest.fixture(autouse=True)
    def rows(self, commit, make_stamp):
        for model in (A, B, A | {"coverage": "full", "run_id": "r3"}):
            commit(model["run_id"], "a.mp4", "b.mp4", stamp=make_stamp(**model))

    def test_a_clip_counts_once_whatever_models_and_coverages_there_are(self, store):
        assert self.shown(store) == [("a", "full")]
        assert len(shown_by(store)) == 2
        count = "SELECT is_current, count(*) FROM all_scores GROUP BY ALL ORDER BY ALL"
        assert [tuple(row.values()) for row in answer(store.location, count).to_pylist()] == [
            (False, 4),
            (True, 2),
        ]

    def test_the_newest_model_is_shown_until_there_is_a_champion(self, store):
        assert note_current(store, **A, is_champion=False)
        assert self.shown(store) == [("a", "first")]
        assert note_current(store, **B, is_champion=False)
        assert self.shown(store) == [("b", "first")]
        assert note_current(store, **A, is_champion=True)
        assert self.shown(store) == [("a", "first")]
        assert not note_current(store, **B, is_champion=False)
        assert self.shown(store) == [("a", "first")]
        assert note_current(store, **A | {"coverage": "full"}, is_champion=False)
        assert self.shown(store) == [("a", "full")]
        assert not note_current(store, **B, is_champion=False)
        assert note_current(store, **B, is_champion=True)
        assert self.shown(store) == [("b", "first")]

    def test_a_model_without_rows_hides_none(self, store):
        assert note_current(store, **A | {"model_sha256": "cc"}, is_champion=True)
        assert self.shown(store) == [("a", "full")]
