from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.corpus.clips import ClipFile
from tasks.corpus.done import done_clips, plan_clips
from tasks.corpus.listing import clip_file
from tasks.schema.tables import ATTRIBUTIONS, SCORES, TIMELINE, WINDOWS
from tasks.scoring.commit import RunStamp
from tasks.scoring.reuse import renew, reuse
from tasks.store.store import ResultsStore
from tasks.store.views import connect

Commit = Callable[..., None]
MakeStamp = Callable[..., RunStamp]
Shown = Callable[[Path], dict[str, tuple[float | None, list[float], list[float]]]]


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., ClipFile]:
    """Return a function that lists a file of a few bytes."""

    def list_one(name: str) -> ClipFile:
        (tmp_path / name).write_bytes(b"content")
        return clip_file(name, bytes(tmp_path / name))

    return list_one


def test_a_moved_clip_is_told_where_and_since_when_it_lies_there_and_nothing_else(
    store: ResultsStore,
    commit: Commit,
    make_stamp: MakeStamp,
    clip: Callable[..., ClipFile],
    shown: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.scoring.reuse.MOVED_AT_ONCE", 2)
    names = ["a.mp4", "b.mp4", "c.mp4"]
    commit("one", *names, value=0.1, num_seconds=3, num_windows=2)
    commit("two", "d.mp4", value=0.2)
    rows = "SELECT * EXCLUDE (uri, modified_ns, scored_at) FROM all_scores ORDER BY clip_id"
    with connect(store.location) as connection:
        before = connection.sql(rows).fetchall()
    was_shown = shown(store.location)
    moved = [clip(name) for name in names]
    renew(store, moved, make_stamp(run_id="before 'one': the clock went back"))
    assert shown(store.location) == was_shown
    with connect(store.location) as connection:
        assert connection.sql(rows).fetchall() == before
        uris = connection.sql("SELECT clip_id, uri FROM all_scores ORDER BY 1").fetchall()
    expected = [(one.clip_id, one.uri) for one in moved]
    assert uris == [*expected, ("d.mp4", "file:///c/d.mp4")]
    done = done_clips(store, "aa", "first")
    found = [(done[name].uri, done[name].modified_ns) for name in names]
    assert found == [(one.uri, one.modified_ns) for one in moved]


def test_a_renamed_clip_takes_everything_over(
    store: ResultsStore,
    commit: Commit,
    make_stamp: MakeStamp,
    clip: Callable[..., ClipFile],
    shown: Shown,
) -> None:
    commit("one", "a.mp4", value=0.1, num_seconds=3, num_windows=2, flags=["silent"])
    commit("two", "b.mp4", value=0.2)
    new = clip("new.mp4")
    rows = reuse(store, [(new, "a.mp4")], make_stamp(run_id="run2"))
    assert shown(store.location) == {
        "a.mp4": (0.1, [0.1] * 3, [0.1] * 2),
        "b.mp4": (0.2, [0.2] * 2, []),
        "new.mp4": (0.1, [0.1] * 3, [0.1] * 2),
    }
    (row,) = rows.to_pylist()
    assert row["uri"] == new.file().as_uri()
    assert (row["clip_id"], row["modified_ns"]) == ("new.mp4", new.modified_ns)
    assert (row["run_id"], row["flags"]) == ("run2", ["silent"])
    assert row["content_sha256"] == "of a.mp4"
    with connect(store.location) as connection:
        for view in (SCORES, TIMELINE, WINDOWS, ATTRIBUTIONS):
            sql = f"SELECT DISTINCT run_id FROM {view} WHERE clip_id = 'new.mp4'"
            assert connection.sql(sql).fetchall() == [("run2",)]
    assert [part.name for part in store.parts(SCORES)] == ["one", "run2-adopted", "two"]


def test_two_names_and_two_clips_that_swap(
    store: ResultsStore,
    commit: Commit,
    make_stamp: MakeStamp,
    clip: Callable[..., ClipFile],
    shown: Shown,
) -> None:
    commit("one", "a.mp4", value=0.1, num_seconds=1)
    commit("two", "b.mp4", value=0.2, num_seconds=2)
    pairs = [("a.mp4", "b.mp4"), ("b.mp4", "a.mp4"), ("c.mp4", "a.mp4"), ("d.mp4", "a.mp4")]
    reuse(store, [(clip(name), source) for name, source in pairs], make_stamp(run_id="run2"))
    assert shown(store.location) == {
        "a.mp4": (0.2, [0.2] * 2, []),
        **dict.fromkeys(("b.mp4", "c.mp4", "d.mp4"), (0.1, [0.1], [])),
    }


def test_only_rows_of_this_model_coverage_and_moment(
    store: ResultsStore,
    commit: Commit,
    make_stamp: MakeStamp,
    clip: Callable[..., ClipFile],
) -> None:
    other = make_stamp(model_sha256="bb", targets=("Awe",))
    commit("one", "a.mp4", value=0.1)
    commit("two", "a.mp4", value=0.2)
    commit("three", "a.mp4", value=0.3, stamp=other)
    commit("four", "a.mp4", value=0.4, stamp=make_stamp(coverage="full"))
    rows = reuse(store, [(clip("new.mp4"), "a.mp4")], make_stamp(run_id="run2"))
    assert rows["joy"].cast(pa.float64()).to_pylist() == [pytest.approx(0.2)]
    others = reuse(store, [(clip("new.mp4"), "a.mp4")], replace(other, run_id="run3"))
    assert others["awe"].cast(pa.float64()).to_pylist() == [pytest.approx(0.3)]


def test_a_rejection_is_taken_over_and_planned_no_more(
    store: ResultsStore,
    commit: Commit,
    make_stamp: MakeStamp,
    clip: Callable[..., ClipFile],
    shown: Shown,
) -> None:
    new = clip("new.mp4")
    sha256 = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    commit("one", "a.mp4", reason="no_audio_track", content_sha256=sha256, bytes=7)
    plan = plan_clips([new], done_clips(store, "aa", "first"))
    assert plan.reusable == [(new, "a.mp4")]
    reuse(store, plan.reusable, make_stamp(run_id="run2"))
    assert shown(store.location) == dict.fromkeys(("a.mp4", "new.mp4"), (None, [], []))
    assert plan_clips([new], done_clips(store, "aa", "first")).num_skipped == 1


def test_a_row_of_an_earlier_version_lacks_what_may_be_null(
    store: ResultsStore, commit: Commit, make_stamp: MakeStamp, clip: Callable[..., ClipFile]
) -> None:
    stamp = make_stamp(targets=("Awe",))
    commit("one", "a.mp4", stamp=stamp)
    part = store.folder.root / store.parts(SCORES)[0].file
    pq.write_table(pq.read_table(part).drop_columns(["awe_low", "awe_high"]), part)
    (row,) = reuse(store, [(clip("new.mp4"), "a.mp4")], stamp).to_pylist()
    assert (row["awe"], row["awe_low"], row["awe_high"]) == (0.5, None, None)
