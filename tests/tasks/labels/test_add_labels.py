from __future__ import annotations

import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emi_model.errors import CorpusError, LabelError, StoreError
from tasks.labels.add_labels import AddReport, add_labels, describe_snapshots
from tasks.labels.label_set import load_labels
from tasks.labels.splits import Shares
from tasks.store.query import answer
from tasks.store.store import create_store

Add = Callable[..., AddReport]

PROJECT = Path(__file__).parents[3]
HEADER = "filename,speaker,split,joy,fear"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a folder of ten clips; what they sound like is of no interest here."""
    folder = tmp_path / "corpus"
    for number in range(10):
        path = folder / f"folder{number % 2}" / f"{number:05d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def add(tmp_path: Path, corpus: Path, root: Path) -> Add:
    """Return a function that adds lines under `HEADER`, or another header."""

    def added(*lines: str, header: str = HEADER, **options: object) -> AddReport:
        path = tmp_path / "labels.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return add_labels(root, path, str(corpus), **options)  # type: ignore[arg-type]

    return added


def refused(add: Add, *lines: str, **options: object) -> list[str]:
    with pytest.raises(LabelError) as caught:
        add(*lines, **options)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def files_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


class TestAdded:
    def test_labels_are_kept_with_content_speaker_and_split(self, add: Add, root: Path) -> None:
        progress: list[tuple[int, int]] = []
        report = add(
            "folder1/00001.mp4,anna,valid,0.5,0.25",
            "00000,,train,1,0",
            on_progress=lambda done, total: progress.append((done, total)),
        )
        labels = load_labels(root)
        first, second = labels.clips
        assert (first.clip_id, first.speaker, first.split) == ("folder0/00000.mp4", "", "train")
        assert (second.clip_id, second.speaker, second.split) == (
            "folder1/00001.mp4",
            "anna",
            "valid",
        )
        assert first.content_sha256 != second.content_sha256
        assert second.emi.tolist() == [0.5, 0.25]
        assert second.vad is None
        assert labels.targets == report.targets == ("joy", "fear")
        assert (report.snapshot, report.number) == (labels.snapshot, 1)
        assert (report.num_added, report.num_corrected, report.num_unchanged) == (2, 0, 0)
        assert report.num_without_labels == 8
        assert report.clips_by_split == {"train": 1, "valid": 1, "test": 0}
        assert progress == [(1, 2), (2, 2)]

    def test_parquet_gives_the_same_snapshot(self, add: Add, tmp_path: Path, corpus: Path) -> None:
        report = add("00000,x,,0.1,0.2", "00001,y,,0.3,0.4")
        columns = {"filename": ["00001", "00000"], "joy": [0.3, 0.1], "fear": [0.4, 0.2]}
        pq.write_table(pa.table(columns | {"speaker": ["y", "x"]}), tmp_path / "labels.parquet")
        other = add_labels(tmp_path / "other", tmp_path / "labels.parquet", str(corpus))
        assert other.snapshot == report.snapshot

    def test_splits_are_drawn_by_speaker_where_the_file_has_none(self, add: Add) -> None:
        lines = [f"{number:05d},speaker{number % 5},,0,0" for number in range(10)]
        report = add(*lines, shares=Shares(0.2, 0.2), seed=3)
        assert report.clips_by_split == {"train": 6, "valid": 2, "test": 2}

    def test_a_speaker_is_one_however_the_accents_are_composed(self, add: Add, root: Path) -> None:
        forms = ["NFC", "NFD"] * 5
        names = [unicodedata.normalize(form, "Jos\u00e9") for form in forms]
        add(*(f"{number:05d},{name},,0,0" for number, name in enumerate(names)), shares=Shares(0.5))
        clips = load_labels(root).clips
        assert {(clip.speaker, clip.split) for clip in clips} == {("Jos\u00e9", clips[0].split)}

    def test_the_same_again_is_nothing_new(self, add: Add, root: Path) -> None:
        lines = ["00000,x,train,0.1,0.2", "00001,y,,0.3,0.4"]
        first = add(*lines)
        before = files_below(root)
        again = add(*reversed(lines), seed=9)
        assert (again.snapshot, again.number, again.num_unchanged) == (None, 1, 2)
        assert (again.targets, again.clips_by_split) == (first.targets, first.clips_by_split)
        assert files_below(root) == before

    def test_later_rows_correct_earlier_ones_and_keep_the_split(self, add: Add, root: Path) -> None:
        add("00000,x,valid,0.1,0.2", "00001,y,train,0.3,0.4")
        report = add("00000,0.2,0.5", "00001,0.4,0.3", "00002,1,1", header="filename,fear,joy")
        assert (report.num_added, report.num_corrected, report.num_unchanged) == (1, 1, 1)
        first, third, _ = load_labels(root).clips
        assert (first.clip_id, first.speaker, first.split) == ("folder0/00000.mp4", "x", "valid")
        assert first.emi == pytest.approx([0.5, 0.2])
        assert third.split == "train"
        rows = answer(
            root, "SELECT clip_id, round(joy::DOUBLE, 2), number FROM labels ORDER BY clip_id"
        )
        assert [list(row.values())[1:] for row in rows.to_pylist()] == [[0.5, 2], [1, 2], [0.3, 1]]

    def test_only_clips_that_the_store_does_not_know_are_without_labels(self, add: Add) -> None:
        add(*(f"{number:05d},x,train,0,0" for number in range(9)))
        assert add("00000,x,train,1,1").num_without_labels == 1

    def test_what_is_missing_is_kept_as_missing(self, add: Add, root: Path) -> None:
        lines = ["00000,x,train,0.5,", "00001,x,train,,"]
        assert add(*lines).num_added == 1
        assert add(*lines).snapshot is None
        (row,) = load_labels(root).clips
        assert row.emi == pytest.approx([0.5, np.nan], nan_ok=True)
        rows = answer(root, "SELECT joy, fear FROM labels").to_pylist()
        assert rows == [{"joy": 0.5, "fear": None}]

    def test_a_voice_without_a_name_is_warned_of(self, add: Add, root: Path) -> None:
        report = add("folder0/00000.mp4,0,0", "00001,0,0", header="filename,joy,fear")
        (warning,) = report.notes
        assert warning.startswith("2 clips name no speaker: one voice may")
        assert "--speaker-from" in warning

    def test_a_speaker_is_taken_from_the_path(self, add: Add, root: Path) -> None:
        lines = ["00000,,0,0", "00001,anna,0,0", "00002,,0,0"]
        report = add(*lines, header="filename,speaker,joy,fear", speaker_from="folder{speaker}")
        assert report.notes == ()
        assert [row.speaker for row in load_labels(root).clips] == ["0", "0", "anna"]
        problems = refused(add, "00003,,,0,0", speaker_from="session{speaker}")
        assert problems == [
            "line 2: folder1/00003.mp4 does not begin as 'session{speaker}' (--speaker-from)"
        ]

    def test_a_speakers_number_is_one_with_decimals_and_without(self, add: Add, root: Path) -> None:
        add("00000,1.0,valid,0,0", "00001,2,train,0,0")
        add("00002,1,,0,0")
        found = [(row.clip_id, row.speaker, row.split) for row in load_labels(root).clips]
        assert found[1] == ("folder0/00002.mp4", "1", "valid")

    def test_vad_of_an_earlier_file_stays(self, add: Add, root: Path) -> None:
        add("00000,0.1,0.2,0.3,0.4", header="filename,joy,valence,arousal,dominance")
        add("00000,0.5", header="filename,joy")
        (row,) = load_labels(root).clips
        assert row.emi.tolist() == [0.5]
        assert row.vad == pytest.approx([0.3, 0.4, 0.2])

    def test_a_wrong_speaker_can_be_corrected(self, add: Add, root: Path) -> None:
        add("00000,anna,train,0,0", "00001,ben,train,0,0")
        add("00001,anna,,0,0")
        add("00002,ben,valid,0,0")
        found = [(row.speaker, row.split) for row in load_labels(root).clips]
        assert found == [("anna", "train"), ("ben", "valid"), ("anna", "train")]

    def test_snapshots_can_be_described_and_asked_for(self, add: Add, root: Path) -> None:
        add("00000,x,train,0,0", "00001,y,valid,0,0", seed=4)
        add("00002,z,test,0,0", "00000,x,,1,0")
        first, second = describe_snapshots(root)
        assert (first["number"], first["parent"], first["seed"]) == (1, None, 4)
        assert (second["parent"], second["file"]) == (first["snapshot"], "labels.csv")
        assert first["clips_by_split"] == {"train": 1, "valid": 1, "test": 0}
        assert second["clips_by_split"] == {"train": 1, "valid": 1, "test": 1}
        told = answer(root, "FROM label_snapshots ORDER BY number").to_pylist()
        for row, snapshot in zip(told, (first, second), strict=True):
            assert row["num_rows"] == 2
            assert row["num_clips"] == sum(snapshot["clips_by_split"].values())
            assert {name: row[f"num_{name}"] for name in ("train", "valid", "test")} == (
                snapshot["clips_by_split"]
            )


class TestRefused:
    def test_everything_that_is_wrong_is_told_and_nothing_is_kept(
        self, add: Add, corpus: Path, root: Path
    ) -> None:
        (corpus / "copy.mp4").write_bytes(bytes([0]))
        (corpus / "gone.mp4").symlink_to(corpus / "nowhere")
        problems = refused(
            add,
            "00000,anna,train,0,0",
            "copy,ben,valid,0,0",
            "00001,anna,valid,0,2",
            "none,x,,0,0",
            "gone,x,,0,0",
            "folder0/00000.mp4,anna,train,0,0",
        )
        assert problems[0].startswith("line 3: the same audio")
        assert problems[1:] == [
            "line 4: fear is '2', expected a number from 0 to 1",
            "line 4: speaker 'anna' is in train (folder0/00000.mp4) and in valid "
            "(folder1/00001.mp4)",
            "line 5: no clip 'none' in the corpus",
            "line 6: gone.mp4 cannot be read",
            "line 7: 'folder0/00000.mp4' is the clip folder0/00000.mp4 again, as in line 2",
        ]
        assert not root.exists()

    def test_what_stands_in_the_store_binds(self, add: Add, corpus: Path, root: Path) -> None:
        add("00000,anna,train,0,0", "00001,ben,valid,0,0")
        before = files_below(root)
        (corpus / "copy.mp4").write_bytes(bytes([1]))
        problems = refused(add, "00002,anna,valid,0,0", "00001,ben,train,0,0", "copy,,train,0,0")
        assert [problem.partition(": ")[2] for problem in problems] == [
            "speaker 'anna' is in train (folder0/00000.mp4, in the store) and in valid "
            "(folder0/00002.mp4)",
            "folder1/00001.mp4 is in train here and in valid in the store: a clip's split never "
            "changes",
            f"the same audio ({load_labels(root).clips[1].content_sha256[:12]}) is in valid "
            "(folder1/00001.mp4, in the store) and in train (copy.mp4)",
        ]
        assert files_below(root) == before

    def test_other_targets_than_the_stores(self, add: Add) -> None:
        add("00000,x,train,0,0")
        (problem,) = refused(add, "00001,0,0,0", header="filename,joy,fear,anger")
        assert problem.startswith("line 1: the targets are joy, fear, anger, the store's are joy,")
        add("00001,0,0,0", header="filename,joy,fear,anger", targets=["Fear", "Joy"])

    def test_no_corpus_or_no_store(self, add: Add, tmp_path: Path, root: Path) -> None:
        add("00000,x,train,0,0")
        with pytest.raises(CorpusError, match="no such folder"):
            add_labels(root, tmp_path / "labels.csv", str(tmp_path / "none"))
        with pytest.raises(StoreError, match="holds other files"):
            add_labels(tmp_path / "corpus", tmp_path / "labels.csv", str(tmp_path / "corpus"))
        with pytest.raises(StoreError, match="no results store here"):
            describe_snapshots(tmp_path / "none")


def test_two_who_add_at_once_make_one_chain(add: Add, corpus: Path, root: Path) -> None:
    create_store(root)
    script = (
        "import sys; from pathlib import Path; from tasks.labels.add_labels import add_labels\n"
        "file, root, corpus = sys.argv[1:]\n"
        "add_labels(Path(root), Path(file), corpus)"
    )
    commands = []
    for number in range(4):
        file = corpus.parent / f"labels{number}.csv"
        file.write_text(f"{HEADER}\n0000{number},speaker{number},,0,0\n")
        commands.append([sys.executable, "-c", script, str(file), str(root), str(corpus)])
    running = [subprocess.Popen(command, cwd=PROJECT) for command in commands]
    assert [process.wait(60) for process in running] == [0] * 4
    assert [row["number"] for row in describe_snapshots(root)] == [1, 2, 3, 4]
    assert len(load_labels(root).clips) == 4


def test_a_run_that_holds_the_store_is_no_hindrance(add: Add, root: Path) -> None:
    store = create_store(root)
    with store.lock():
        started = time.monotonic()
        add("00000,x,train,0,0")
        store.recover()
    assert time.monotonic() - started < 5
    assert len(load_labels(root).clips) == 1
