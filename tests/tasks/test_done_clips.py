from __future__ import annotations

from collections.abc import Callable

from tasks.scoring.commit import RunStamp
from tasks.store.store import ResultsStore
from tests.places import DISK_AND_BUCKET

Commit = Callable[..., None]
MakeStamp = Callable[..., RunStamp]

pytestmark = DISK_AND_BUCKET


def test_an_empty_store_knows_none(store: ResultsStore) -> None:
    assert store.done_clips("aa", "first") == {}


def test_the_latest_row_counts(store: ResultsStore, commit: Commit) -> None:
    commit("z", "a.mp4", "b.mp4", content_sha256="old")
    commit("a", "a.mp4", content_sha256="new", bytes=7, modified_ns=8)
    commit("b", "c.mp4", reason="missing", content_sha256=None, bytes=None, modified_ns=None)
    assert store.done_clips("aa", "first") == {
        "a.mp4": ("new", 7, 8),
        "b.mp4": ("old", 100, 1),
        "c.mp4": (None, None, None),
    }


def test_by_model_and_coverage(store: ResultsStore, commit: Commit, make_stamp: MakeStamp) -> None:
    commit("one", "a.mp4")
    commit("two", "b.mp4", stamp=make_stamp(model_sha256="bb", targets=("Awe",)))
    commit("three", "c.mp4", stamp=make_stamp(coverage="full", targets=()))
    found = [set(store.done_clips(*key)) for key in (("aa", "first"), ("bb", "first"))]
    assert found == [{"a.mp4"}, {"b.mp4"}]
    assert set(store.done_clips("aa", "full")) == {"c.mp4"}
    assert store.done_clips("bb", "full") == {}
