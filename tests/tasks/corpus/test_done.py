from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.clips import ClipFile
from tasks.corpus.done import DoneClip, ScoringPlan, done_clips, plan_clips
from tasks.corpus.listing import clip_file
from tasks.scoring.commit import RunStamp
from tasks.store.store import ResultsStore
from tests.places import DISK_AND_BUCKET

Clip = Callable[..., ClipFile]
Commit = Callable[..., None]
MakeStamp = Callable[..., RunStamp]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_clip(folder: Path, name: str, content: bytes, modified_ns: int) -> ClipFile:
    (folder / name).write_bytes(content)
    os.utime(folder / name, ns=(0, modified_ns))
    return clip_file(name, bytes(folder / name))


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Return a function that makes a file and lists it."""

    def make(name: str, content: bytes, modified_ns: int = 1000) -> ClipFile:
        return write_clip(tmp_path, name, content, modified_ns)

    return make


def done(clip_id: str, content: bytes, modified_ns: int = 1000) -> dict[str, DoneClip]:
    return {clip_id: DoneClip(sha256(content), len(content), modified_ns)}


def test_an_empty_store(clip: Clip) -> None:
    clips = [clip("a.mp4", b"abc"), clip("b.mp4", b"abc")]
    assert plan_clips(clips, {}) == ScoringPlan(todo=clips)


def test_what_is_unchanged_is_not_read(clip: Clip) -> None:
    changed_behind_our_back = clip("a.mp4", b"xyz")
    plan = plan_clips([changed_behind_our_back], done("a.mp4", b"abc"))
    assert plan == ScoringPlan(num_skipped=1)


def test_touched_with_the_same_content(clip: Clip) -> None:
    touched = clip("a.mp4", b"abc", 2000)
    plan = plan_clips([touched], done("a.mp4", b"abc"))
    assert plan == ScoringPlan(num_skipped=1, moved=[touched]), "its row gets the new time"


@pytest.mark.parametrize("content", [b"xyz", b"longer"])
def test_changed_content(content: bytes, clip: Clip) -> None:
    changed = clip("a.mp4", content, 2000)
    plan = plan_clips([changed], done("a.mp4", b"abc"))
    assert plan == ScoringPlan(todo=[changed], num_superseded=1)


def test_without_a_time_the_content_decides(clip: Clip) -> None:
    row = {"a.mp4": DoneClip(sha256(b"abc"), 3, None)}
    same = clip("a.mp4", b"abc")._replace(modified_ns=None)
    assert plan_clips([same], row) == ScoringPlan(num_skipped=1)
    changed = clip("a.mp4", b"xyz")._replace(modified_ns=None)
    assert plan_clips([changed], row) == ScoringPlan(todo=[changed], num_superseded=1)


def test_renamed_and_copied(clip: Clip) -> None:
    clips = [clip("new.mp4", b"abc"), clip("old.mp4", b"abc"), clip("other.mp4", b"abd")]
    plan = plan_clips(clips, done("old.mp4", b"abc"))
    assert plan == ScoringPlan(todo=[clips[2]], reusable=[(clips[0], "old.mp4")], num_skipped=1)
    plan = plan_clips(clips, done("old.mp4", b"abc"), by_name=True)
    assert plan == ScoringPlan(todo=[clips[0], clips[2]], num_skipped=1)


def test_replaced_by_the_content_of_another(clip: Clip) -> None:
    swapped = [clip("a.mp4", b"bbb", 2000), clip("b.mp4", b"aaa", 2000)]
    plan = plan_clips(swapped, done("a.mp4", b"aaa") | done("b.mp4", b"bbb"))
    assert plan == ScoringPlan(
        reusable=[(swapped[0], "b.mp4"), (swapped[1], "a.mp4")], num_superseded=2
    )


def test_a_clip_that_lies_elsewhere_is_done_and_moved(clip: Clip) -> None:
    same, touched = clip("a.mp4", b"abc"), clip("b.mp4", b"xyz", modified_ns=2000)
    here = {
        "a.mp4": DoneClip(sha256(b"abc"), 3, 1000, same.uri),
        "b.mp4": DoneClip(sha256(b"xyz"), 3, 1000, touched.uri),
    }
    assert plan_clips([same, touched], here) == ScoringPlan(num_skipped=2, moved=[touched])
    elsewhere = {name: row._replace(uri=f"file:///old/{name}") for name, row in here.items()}
    plan = plan_clips([same, touched], elsewhere)
    assert plan == ScoringPlan(num_skipped=2, moved=[same, touched])
    assert plan.replaces_rows


def test_rescore_does_everything_again(clip: Clip) -> None:
    clips = [clip("a.mp4", b"abc"), clip("b.mp4", b"abc"), clip("c.mp4", b"new")]
    plan = plan_clips(clips, done("a.mp4", b"abc"), rescore=True)
    assert plan == ScoringPlan(todo=clips, num_superseded=1)


def test_a_row_without_a_hash_is_tried_again(clip: Clip, tmp_path: Path) -> None:
    gone = clip_file("gone.mp4", bytes(tmp_path / "gone.mp4"))
    back = clip("back.mp4", b"abc")
    rows = {"gone.mp4": DoneClip(None, None, None), "back.mp4": DoneClip(None, 3, 1000)}
    assert plan_clips([gone, back], rows) == ScoringPlan(todo=[gone, back], num_superseded=2)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    pipe = clip_file("pipe.mp4", bytes(tmp_path / "pipe.mp4"))
    assert plan_clips([pipe], done("empty.mp4", b"")) == ScoringPlan(todo=[pipe])


NAMES = st.sampled_from(["a", "b", "c", "d"])
FILES = st.tuples(st.sampled_from([b"", b"x", b"y", b"zz"]), st.integers(1, 3))
ROWS = st.tuples(st.none() | st.sampled_from([b"", b"x", b"y", b"zz"]), st.integers(1, 3))


def row_of(content: bytes | None, modified_ns: int) -> DoneClip:
    if content is None:
        return DoneClip(None, None, None)
    return DoneClip(sha256(content), len(content), modified_ns)


def after(plan: ScoringPlan, rows: Mapping[str, DoneClip]) -> dict[str, DoneClip]:
    """Return the rows of the store when the plan has been carried out."""
    new = dict(rows)
    for one in [*plan.todo, *plan.moved, *(one for one, _ in plan.reusable)]:
        new[one.clip_id] = DoneClip(sha256(one.file().read_bytes()), one.size, one.modified_ns)
    return new


@settings(derandomize=True, database=None, deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, FILES, min_size=1), st.dictionaries(NAMES, ROWS), st.booleans())
def test_every_clip_is_listed_once_and_done_once(
    files: dict[str, tuple[bytes, int]], rows: dict[str, tuple[bytes | None, int]], rescore: bool
) -> None:
    stored = {name: row_of(*row) for name, row in rows.items()}
    with tempfile.TemporaryDirectory() as folder:
        clips = [write_clip(Path(folder), name, *file) for name, file in files.items()]
        plan = plan_clips(clips, stored, rescore=rescore)
        assert plan.num_listed == len(clips)
        touched = plan.todo + [one for one, _ in plan.reusable]
        assert len(set(touched)) == len(touched) == len(clips) - plan.num_skipped
        assert plan.num_superseded == sum(one.clip_id in stored for one in touched)
        assert not rescore or plan.todo == clips
        for one, source in plan.reusable:
            assert stored[source].content_sha256 == sha256(one.file().read_bytes())
        assert set(plan.moved).isdisjoint(touched)
        assert plan_clips(clips, after(plan, stored)) == ScoringPlan(num_skipped=len(clips))


@DISK_AND_BUCKET
class TestDoneClips:
    def test_an_empty_store_has_none(self, store: ResultsStore) -> None:
        assert done_clips(store, "aa", "first") == {}

    def test_the_latest_row_counts(self, store: ResultsStore, commit: Commit) -> None:
        commit("z", "a.mp4", "b.mp4", content_sha256="old")
        commit("a", "a.mp4", content_sha256="new", bytes=7, modified_ns=8)
        commit("b", "c.mp4", reason="missing", content_sha256=None, bytes=None, modified_ns=None)
        assert done_clips(store, "aa", "first") == {
            "a.mp4": ("new", 7, 8, "file:///c/a.mp4"),
            "b.mp4": ("old", 100, 1, "file:///c/b.mp4"),
            "c.mp4": (None, None, None, "file:///c/c.mp4"),
        }

    @pytest.mark.parametrize(
        ("facts", "is_outdated"),
        [
            ({}, False),
            ({"flags": ["truncated"], "codec": "aac", "channels": 6}, False),
            ({"flags": ["silent"], "codec": "aac", "channels": 1}, False),
            ({"flags": ["silent"], "codec": "aac", "channels": 2}, True),
            ({"flags": ["short_decode"]}, True),
            ({"codec": "pcm_s24le", "channels": 6}, True),
            ({"codec": "flac", "channels": 4}, True),
            ({"codec": "flac", "channels": 2}, False),
            ({"reason": "refused"}, True),
            ({"reason": "no_samples"}, True),
            ({"reason": "unreadable"}, False),
            ({"reason": "no_audio_track"}, False),
            ({"reason": "no_audio_track", "detail": "no audio track in mpeg"}, True),
        ],
    )
    def test_what_an_earlier_version_may_have_got_wrong_is_done_again(
        self, facts: dict[str, Any], is_outdated: bool, store: ResultsStore, commit: Commit
    ) -> None:
        commit("old", "a.mp4", extraction=None, **facts)
        commit("new", "b.mp4", **facts)
        clips = [ClipFile(name, name.encode(), 100, 1) for name in ("a.mp4", "b.mp4")]
        plan = plan_clips(clips, done_clips(store, "aa", "first"))
        assert [clip.clip_id for clip in plan.todo] == ["a.mp4"] * is_outdated
        assert plan.num_superseded == is_outdated
        assert plan.num_skipped == 2 - is_outdated

    def test_by_model_and_coverage(
        self, store: ResultsStore, commit: Commit, make_stamp: MakeStamp
    ) -> None:
        commit("one", "a.mp4")
        commit("two", "b.mp4", stamp=make_stamp(model_sha256="bb", targets=("Awe",)))
        commit("three", "c.mp4", stamp=make_stamp(coverage="full", targets=()))
        found = [set(done_clips(store, *key)) for key in (("aa", "first"), ("bb", "first"))]
        assert found == [{"a.mp4"}, {"b.mp4"}]
        assert set(done_clips(store, "aa", "full")) == {"c.mp4"}
        assert done_clips(store, "bb", "full") == {}


@pytest.mark.parametrize(
    ("facts", "needs", "is_done"),
    [
        ({"modalities": ["audio", "text"]}, {"audio": True, "text": True}, True),
        ({"modalities": ["audio"]}, {"audio": True, "text": False}, True),
        ({"modalities": ["audio"]}, {"audio": True, "text": True}, False),
        ({"modalities": None}, {"audio": True}, True),  # of an earlier version
        ({"modalities": ["audio"], "flags": ["input_failed"]}, {"audio": True}, False),
        (
            {"reason": "timeout", "modalities": [], "flags": ["input_failed"]},
            {"text": False},
            False,
        ),
        ({"reason": "timeout", "modalities": []}, {"audio": True}, True),
        ({"reason": "no_speech", "modalities": ["audio"]}, {"text": True}, True),
        ({"reason": "no_speech", "modalities": ["audio"]}, {"text": False}, False),
        ({"reason": "no_face", "modalities": ["audio"]}, {"text": True, "vision": False}, False),
        ({"reason": "unreadable", "modalities": []}, {"audio": True}, True),
    ],
)
def test_what_a_clip_must_have_decides_whether_its_row_stands(
    facts: dict[str, Any],
    needs: dict[str, bool],
    is_done: bool,
    store: ResultsStore,
    commit: Commit,
    make_stamp: MakeStamp,
) -> None:
    commit("one", "a.mp4", stamp=make_stamp(asr_key="ab"), **facts)
    row = done_clips(store, "aa", "first", needs=needs, asr_key="ab")["a.mp4"]
    assert (row.content_sha256 is not None) == is_done


def test_scores_of_another_asr_models_text_are_not_done(
    store: ResultsStore, commit: Commit, make_stamp: MakeStamp
) -> None:
    commit("one", "a.mp4", stamp=make_stamp(asr_key="ab"))
    commit("two", "b.mp4", reason="unreadable", stamp=make_stamp(asr_key="ab"))
    for asr_key, expected in {"ab": {"a.mp4", "b.mp4"}, "cd": {"b.mp4"}}.items():
        found = done_clips(store, "aa", "first", asr_key=asr_key)
        assert {name for name, row in found.items() if row.content_sha256} == expected


def test_scores_without_the_attributions_that_are_wanted_are_not_done(
    store: ResultsStore, commit: Commit, make_stamp: MakeStamp
) -> None:
    for name, why in (("none", None), ("some", "modalities"), ("every", "all")):
        commit(name, f"{name}.mp4", stamp=make_stamp(why=why))
    commit("no", "no.mp4", reason="unreadable", stamp=make_stamp(why="all"))
    whole = {"none.mp4", "some.mp4", "every.mp4", "no.mp4"}
    lacking: dict[str | None, set[str]] = {
        None: set(),
        "modalities": {"none.mp4"},
        "all": {"none.mp4", "some.mp4"},
    }
    for why, expected in lacking.items():
        found = done_clips(store, "aa", "first", why=why)
        assert {name for name, row in found.items() if row.content_sha256} == whole - expected
