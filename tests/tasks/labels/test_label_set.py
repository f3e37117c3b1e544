from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from emi_model.errors import LabelError, StoreError
from tasks.labels.label_set import LabelledRow, load_labels
from tasks.labels.snapshots import Snapshot, new_snapshot, read_snapshots, write_snapshot
from tasks.schema.tables import LABELS
from tasks.store.store import ResultsStore
from tests.places import DISK_AND_BUCKET

Keep = Callable[..., Snapshot]


def row(clip_id: str, split: str = "train", value: float = 0.5, vad: bool = False) -> LabelledRow:
    emi = np.array([value, 0.1], np.float32)
    rated = np.array([0.1, 0.2, 0.3], np.float32) if vad else None
    return LabelledRow(clip_id, f"of {clip_id}", emi, rated, "anna" if vad else "", split)


@pytest.fixture
def keep(store: ResultsStore) -> Keep:
    """Return a function that adds a snapshot of these rows."""

    def kept(*rows: LabelledRow, targets: Sequence[str] = ("Joy", "Sheer Awe")) -> Snapshot:
        chain = read_snapshots(store)
        snapshot = new_snapshot(rows, targets, chain, file="labels.csv", seed=1)
        write_snapshot(store, snapshot)
        return snapshot

    return kept


@DISK_AND_BUCKET
class TestLoaded:
    def test_what_was_written_comes_back(self, store: ResultsStore, keep: Keep) -> None:
        rows = [row("b.wav", vad=True), row("a.wav", "valid")]
        snapshot = keep(*rows)
        labels = load_labels(store.location)
        assert [one.content() for one in labels.clips] == [one.content() for one in rows[::-1]]
        assert labels.clips[0].emi.dtype == np.float32
        assert (labels.snapshot, labels.number) == (snapshot.snapshot, 1)
        assert labels.targets == ("Joy", "Sheer Awe")
        assert [clip.clip_id for clip in labels.of_split("valid")] == ["a.wav"]
        assert labels.of_split("test") == ()

    def test_raters_come_back_and_without_them_an_id_is_as_ever(
        self, store: ResultsStore, keep: Keep
    ) -> None:
        counted = [replace(row("a.wav"), num_raters=9.0), row("b.wav")]
        keep(*counted)
        assert [one.num_raters for one in load_labels(store.location).clips] == [9.0, None]
        assert len(row("b.wav").content()) == 6

    def test_as_of_any_snapshot(self, store: ResultsStore, keep: Keep) -> None:
        first = keep(row("a.wav"), row("b.wav"))
        second = keep(row("a.wav", value=0.9))
        assert second.parent == first.snapshot
        for name in ("1", first.snapshot, first.snapshot[:8], first.snapshot[:8].upper()):
            labels = load_labels(store.location, name)
            assert [clip.emi[0] for clip in labels.clips] == [0.5, 0.5]
        for head in (None, "2", second.snapshot):
            labels = load_labels(store.location, head)
            assert [clip.emi[0] for clip in labels.clips] == pytest.approx([0.9, 0.5])

    @pytest.mark.parametrize("wrong", ["3", "0", "", "a", "nonsense"])
    def test_no_such_snapshot(self, wrong: str, store: ResultsStore, keep: Keep) -> None:
        keep(row("a.wav"))
        with pytest.raises(LabelError, match="expected a number from 1 to 1"):
            load_labels(store.location, wrong)

    def test_no_labels_or_no_store(self, store: ResultsStore, tmp_path: Path) -> None:
        with pytest.raises(LabelError, match="no labels here"):
            load_labels(store.location)
        with pytest.raises(StoreError, match="no results store here"):
            load_labels(tmp_path / "none")

    def test_the_splits_hash_is_that_of_contents_and_splits(
        self, store: ResultsStore, keep: Keep
    ) -> None:
        keep(row("a.wav"), row("b.wav", "valid"))
        first = load_labels(store.location)
        keep(row("a.wav", value=0.9))
        assert load_labels(store.location).split_sha256 == first.split_sha256
        keep(row("c.wav"))
        assert load_labels(store.location).split_sha256 != first.split_sha256
        one, other = first.clips
        moved = replace(first, clips=(replace(one, split="test"), other))
        renamed = replace(first, clips=(replace(one, clip_id="z.wav"), other))
        assert moved.split_sha256 != first.split_sha256 == renamed.split_sha256


class TestVerified:
    def test_ids_are_those_of_the_content(self, keep: Keep) -> None:
        rows = [row("a.wav"), row("b.wav")]
        one = new_snapshot(rows, ["Joy", "Awe"], [], file="x.csv", seed=1)
        assert new_snapshot(rows[::-1], ["Joy", "Awe"], [], file="y", seed=2).snapshot == (
            one.snapshot
        )
        others = [
            new_snapshot(rows, ["Joy", "Fear"], [], file="x.csv", seed=1),
            new_snapshot(rows, ["Joy", "Awe"], [one], file="x.csv", seed=1),
            new_snapshot(rows[:1], ["Joy", "Awe"], [], file="x.csv", seed=1),
            new_snapshot([rows[0], row("b.wav", vad=True)], ["Joy", "Awe"], [], file="", seed=1),
        ]
        assert len({one.snapshot, *(other.snapshot for other in others)}) == 5

    @pytest.mark.parametrize("damage", ["torn", "changed", "renamed", "foreign"])
    def test_a_damaged_snapshot_is_refused(
        self, damage: str, store: ResultsStore, keep: Keep
    ) -> None:
        keep(row("a.wav"), row("b.wav"))
        (part,) = store.parts(LABELS)
        file = store.folder.root / part.file
        table = pq.read_table(file)
        if damage == "torn":
            file.write_bytes(file.read_bytes()[:-100])
        elif damage == "changed":
            pq.write_table(table.slice(1), file)
        elif damage == "renamed":
            file.rename(file.with_name("000001-0000000000000000.parquet"))
        else:
            pq.write_table(table.replace_schema_metadata(None).select(["clip_id"]), file)
        with pytest.raises(StoreError, match="put back a copy"):
            load_labels(store.location)

    @DISK_AND_BUCKET
    def test_a_chain_with_a_hole_is_refused(self, store: ResultsStore, keep: Keep) -> None:
        for name in ("a.wav", "b.wav", "c.wav"):
            keep(row(name))
        store.folder.remove(store.parts(LABELS)[1].file)
        with pytest.raises(StoreError, match="number 1: a snapshot is missing"):
            load_labels(store.location)

    def test_a_snapshot_of_another_store_is_refused(
        self, store: ResultsStore, keep: Keep, tmp_path: Path
    ) -> None:
        keep(row("a.wav"))
        keep(row("b.wav"))
        second = store.parts(LABELS)[1]
        content = store.folder.read(second.file)
        store.folder.remove(second.file)
        keep(row("c.wav"))
        store.folder.write(second.file, content)
        with pytest.raises(StoreError, match="came from another store"):
            load_labels(store.location)
