from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emi_model.errors import ConfigError, MetadataError, StoreError
from tasks.metadata.add_metadata import AddedMetadata, add_metadata, add_speakers
from tasks.metadata.versions import versions
from tasks.store.query import answer
from tasks.store.store import ResultsStore

Commit = Callable[..., None]
Add = Callable[..., AddedMetadata]


@pytest.fixture
def add(store: ResultsStore, tmp_path: Path) -> Add:
    def add_text(text: str, key: str | None = None, **options: Any) -> AddedMetadata:
        (tmp_path / "study.csv").write_text(text, encoding="utf-8")
        return add_metadata(store.location, tmp_path / "study.csv", key, **options)

    return add_text


def rows(store: ResultsStore, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in answer(store.location, sql).to_pylist()]


class TestOneRowAClip:
    @pytest.mark.parametrize("store", ["bucket"], indirect=True)  # all others use a disk
    def test_a_questionnaire_and_the_conditions_of_clips(
        self, store: ResultsStore, commit: Commit, add: Add
    ) -> None:
        commit("part", "p1/a.mp4", "p1/b.mp4", "p2/c.mp4", "d.mp4", value=0.5)
        assert add_speakers(store.location, "{speaker}/*").notes == (
            "1 clips do not begin so: d.mp4",
        )
        report = add("participant,Age\np1,30\np3,40\n", "speaker=participant")
        assert (report.of, report.number, report.num_joined, report.num_clips) == (
            *("speakers", 1),
            *(2, 4),
        )
        assert report.notes == ("1 speakers are not in the store yet: p3",)
        report = add("filename,condition\na.mp4,quiet\nc,loud\n")
        assert (report.of, report.number, report.columns) == ("clips", 2, ("speaker", "condition"))
        sql = "SELECT clip_id, folder, speaker, condition, age, joy FROM clips ORDER BY clip_id"
        assert rows(store, sql) == [
            ("d.mp4", None, None, None, None, 0.5),
            ("p1/a.mp4", "p1", "p1", "quiet", 30, 0.5),
            ("p1/b.mp4", "p1", "p1", None, 30, 0.5),
            ("p2/c.mp4", "p2", "p2", "loud", None, 0.5),
        ]

    def test_a_later_file_corrects_its_own_rows_and_columns(
        self, store: ResultsStore, commit: Commit, add: Add
    ) -> None:
        commit("part", "a.mp4", "b.mp4")
        add("clip_id,speaker,x,y\na.mp4,p,1,one\nb.mp4,q,2,two\n")
        assert not add("clip_id,x\nb.mp4,2\n").is_new
        report = add("clip_id,x,z\nb.mp4,,word\nc.mp4,2.5,\n")
        assert (report.number, report.is_new, report.num_rows) == (2, True, 2)
        sql = "SELECT clip_id, speaker, x, y, z, number FROM clip_metadata ORDER BY clip_id"
        assert rows(store, sql) == [
            ("a.mp4", "p", 1.0, "one", None, 2),
            ("b.mp4", "q", None, "two", "word", 2),
            ("c.mp4", None, 2.5, None, None, 2),
        ]
        listed = [(row["number"], row["columns"]) for row in versions(store, "clip_id")]
        assert listed == [(1, ["speaker", "x", "y"]), (2, ["speaker", "x", "y", "z"])]

    def test_of_two_at_once_both_count(
        self, store: ResultsStore, commit: Commit, add: Add, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The other one writes the number between our reading and our writing."""
        commit("part", "a.mp4")
        claim = ResultsStore.claim
        waiting = [True]

        def claim_second(self: ResultsStore, *arguments: Any) -> bool:
            if waiting:
                waiting.clear()
                add("clip_id,theirs\na.mp4,1\n")
            return claim(self, *arguments)

        monkeypatch.setattr(ResultsStore, "claim", claim_second)
        # read before the other file takes its place
        assert add("clip_id,ours\na.mp4,2\n").number == 2
        assert rows(store, "SELECT ours, theirs FROM clips") == [(2, 1)]


class TestWhatIsRefused:
    def test_whole_or_not_at_all(self, store: ResultsStore, commit: Commit, add: Add) -> None:
        commit("part", "p1/a.mp4", "p1/b.mp4", "p2/b.mp4")
        add_speakers(store.location, "{speaker}/*")
        for text, said in (
            ("clip_id,x\np1/a.mp4,1\na,2\n", "line 3: the clip p1/a.mp4 again, as in line 2"),
            ("clip_id,x\nb.mp4,1\n", "may be p1/b.mp4, p2/b.mp4: write the whole path"),
            ("clip_id,x\nz,1\n", "no clip of the file (z) is in the store (p1/a.mp4"),
            ("clip_id,joy,folder\np1/a.mp4,1,2\n", "the store has a column folder already"),
            ("speaker,x\nnobody,1\n", "no speaker of the file (nobody) is in the store (p1"),
        ):
            with pytest.raises(MetadataError) as caught:
                add(text)
            assert said in str(caught.value)
        assert len(store.parts("clip_metadata")) == 1
        assert not store.parts("speaker_metadata")

    def test_one_column_is_of_clips_or_of_speakers(
        self, store: ResultsStore, commit: Commit, add: Add
    ) -> None:
        commit("part", "a.mp4")
        add("clip_id,speaker,age\na.mp4,p,1\n")
        with pytest.raises(MetadataError, match="age is a column of clip_id already"):
            add("speaker,age\np,3\n")
        assert add("speaker,age,sex\np,3,f\n", ignore=["age"]).columns == ("sex",)

    def test_no_store_and_no_speaker(
        self, store: ResultsStore, commit: Commit, add: Add, tmp_path: Path
    ) -> None:
        with pytest.raises(StoreError, match="no results store here"):
            add_metadata(tmp_path / "none", "file.csv")
        commit("part", "a.mp4")
        (note,) = add("speaker,x\np,1\n").notes
        assert "`emi metadata speakers '{speaker}/*'`" in note
        with pytest.raises(ConfigError, match=r"expected one \{speaker\}"):
            add_speakers(store.location, "folder")
        with pytest.raises(MetadataError, match=r"none of 1 clips such as a\.mp4 begins as"):
            add_speakers(store.location, "{speaker}/*/*")


def test_a_table_of_its_own_and_the_labels_name_speakers(
    store: ResultsStore, commit: Commit, add: Add
) -> None:
    """Metadata of clips counts for more than the labels, for it is the study's latest word."""
    commit("part", "a.mp4", "b.mp4")
    assert rows(store, "SELECT clip_id, speaker FROM clips ORDER BY clip_id") == [
        ("a.mp4", None),
        ("b.mp4", None),
    ]
    add("clip_id,speaker\na.mp4,7.0\n")
    assert rows(store, "SELECT speaker FROM clips ORDER BY clip_id") == [("7",), (None,)]


def test_a_store_of_an_earlier_version_that_cannot_be_written(
    store: ResultsStore, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lacks the tables of metadata: clips are shown without."""
    commit("part", "p1/a.mp4")
    for table in ("clip_metadata", "speaker_metadata"):
        shutil.rmtree(Path(store.location) / table)
    monkeypatch.setattr("tasks.store.writers.DiskWriter.prepare", read_only)
    assert rows(store, "SELECT clip_id, folder, speaker FROM clips") == [("p1/a.mp4", "p1", None)]


def read_only(*_: object) -> None:
    raise PermissionError(13, "Permission denied")
