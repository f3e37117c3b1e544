"""Labels of a store in a bucket, where nothing is locked: who comes second goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from emi_model.errors import LabelError, StoreError
from tasks.labels import add_labels as labelling
from tasks.labels.add_labels import AddReport, add_labels, describe_snapshots
from tasks.labels.label_set import load_labels
from tasks.schema.tables import LABELS
from tasks.storage.open import open_folder
from tasks.store.query import answer

Add = Callable[..., AddReport]


@pytest.fixture
def location(bucket: str) -> str:
    return f"{bucket}/store"


@pytest.fixture
def add(tmp_path: Path, location: str) -> Add:
    """Return a function that adds lines of clip, speaker and label to a store."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number in range(6):
        (corpus / f"{number}.mp4").write_bytes(bytes([number]))

    def added(*lines: str, name: str = "labels.csv", store: str | None = None) -> AddReport:
        path = tmp_path / name
        path.write_text("\n".join(["filename,speaker,joy", *lines]) + "\n")
        return add_labels(store or location, path, str(corpus))

    return added


def numbers(location: str) -> list[int]:
    return [link["number"] for link in describe_snapshots(location)]


def test_files_are_named_by_their_number(add: Add, location: str) -> None:
    first = add("0,anna,0.5", "1,ben,0.5")
    second = add("1,ben,0.25", "2,cleo,1")
    assert (second.number, second.num_added, second.num_corrected) == (2, 1, 1)
    files = {file.name for file in open_folder(location).files(LABELS)}
    assert files == {f"labels/{name}.parquet" for name in ("empty", "000001", "000002")}
    labels = load_labels(location)
    assert (labels.snapshot, labels.clips[1].emi.tolist()) == (second.snapshot, [0.25])
    assert load_labels(location, "1").snapshot == first.snapshot
    assert add("2,cleo,1").snapshot is None
    told = answer(location, "SELECT num_clips FROM label_snapshots ORDER BY number").to_pylist()
    assert told == [{"num_clips": 2}, {"num_clips": 3}]


def test_two_who_add_at_once_both_do(
    add: Add, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, both = labelling.write_snapshot, Barrier(3)
    outcomes: list[bool] = []

    def together(*arguments: object) -> bool:
        if not outcomes:
            both.wait(30)
        outcomes.append(write(*arguments))
        return outcomes[-1]

    monkeypatch.setattr(labelling, "write_snapshot", together)
    with ThreadPoolExecutor(3) as pool:
        lines = [(f"{number},speaker{number},0.5", f"{number}.csv") for number in range(3)]
        found = list(pool.map(lambda one: add(one[0], name=one[1]), lines))
    assert outcomes.count(False) >= 2
    assert sorted(report.number for report in found) == numbers(location) == [1, 2, 3]
    assert len(load_labels(location).clips) == 3
    assert [report.num_added for report in found] == [1, 1, 1]


def test_the_same_labels_twice_at_once_are_nothing_new(
    add: Add, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = labelling.write_snapshot

    def second(*arguments: object) -> bool:
        monkeypatch.setattr(labelling, "write_snapshot", write)
        assert add("0,anna,0.5").snapshot is not None
        return write(*arguments)

    monkeypatch.setattr(labelling, "write_snapshot", second)
    report = add("0,anna,0.5")
    assert (report.snapshot, report.number, report.num_unchanged) == (None, 1, 1)
    assert numbers(location) == [1]


def test_who_is_never_first_is_told(
    add: Add, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelling, "write_snapshot", lambda *_: False)
    with pytest.raises(StoreError, match="others add labels all the time"):
        add("0,anna,0.5")


def test_a_store_may_move_to_a_bucket_and_back(add: Add, location: str, tmp_path: Path) -> None:
    disk = str(tmp_path / "disk")
    add("0,anna,0.5", store=disk)
    copy(disk, location)
    add("1,ben,0.5", store=location)
    copy(location, str(tmp_path / "back"))
    add("2,cleo,0.5", store=str(tmp_path / "back"))
    assert numbers(str(tmp_path / "back")) == [1, 2, 3]
    assert len(load_labels(tmp_path / "back").clips) == 3


def copy(source: str, target: str) -> None:
    for file in open_folder(source).files():
        open_folder(target).write(file.name, open_folder(source).read(file.name))


def test_what_is_wrong_leaves_no_store(add: Add, location: str) -> None:
    with pytest.raises(LabelError):
        add("0,anna,7")
    assert not list(open_folder(location).files())
