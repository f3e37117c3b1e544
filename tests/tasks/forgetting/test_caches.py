"""What this machine keeps of forgotten clips goes, unless a clip that stays has it, too."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tasks.extraction.registry import NAMED
from tasks.forgetting.forget import plan_forgetting
from tasks.labels.cache_files import cache_key
from tasks.store.query import answer
from tasks.store.store import ResultsStore
from tests.tasks.forgetting.forgettable import (
    ANNA,
    BEN,
    CONTENT,
    cache_file,
    content_of,
    forget,
    label,
)

pytestmark = pytest.mark.usefixtures("machine")


def test_cached_audio_goes_unless_a_clip_that_stays_has_it(
    store: ResultsStore, machine: Path
) -> None:
    label(store, ANNA, BEN, "copy.mp4", "original.mp4")  # the last two have one content
    gone = [
        cache_file(machine, CONTENT[ANNA]),
        cache_file(machine, CONTENT[ANNA], "vision-v2-e12", ".npy"),
        cache_file(machine, CONTENT[ANNA], "text-v1", ".json"),
        cache_file(machine, CONTENT[ANNA], "text-v1", ".absent"),
        cache_file(machine, "ff", "audio-frames-12", ".npy"),
    ]
    kept = [cache_file(machine, CONTENT[BEN]), cache_file(machine, "c3" * 32)]
    assert forget(store, ANNA).amount.num_cached == 4
    found = forget(store, "copy.mp4")
    assert found.amount.num_cached == 0
    assert found.same_content == ("original.mp4",)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []


def test_inputs_by_name_go_whatever_stays(store: ResultsStore, machine: Path) -> None:
    label(store, "copy.mp4", "original.mp4")
    copy, original = (
        cache_file(machine, cache_key(content_of(name), name), f"eda-v1-12{NAMED}", ".npy")
        for name in ("copy.mp4", "original.mp4")
    )
    assert forget(store, "copy.mp4").amount.num_cached == 1
    assert (copy.exists(), original.exists()) == (False, True)


def test_features_of_tables_go(store: ResultsStore, machine: Path) -> None:
    label(store, ANNA, BEN)
    table = machine / "features" / "12"
    table.mkdir(parents=True)
    index = {ANNA: "aa.npz", "2": "bb.npz"}
    (table / "emi-index.json").write_text(json.dumps(index), encoding="utf-8")
    for file in index.values():
        (table / file).write_bytes(b"numbers")
    assert forget(store, ANNA).amount.num_cached == 1
    assert sorted(path.name for path in table.iterdir()) == ["bb.npz", "emi-index.json"]
    assert json.loads((table / "emi-index.json").read_text()) == {"2": "bb.npz"}


def test_tables_that_a_killed_process_laid_out_go(store: ResultsStore, machine: Path) -> None:
    label(store, ANNA)
    for name in (".old", ".being written"):
        (machine / "features" / name / "whole").mkdir(parents=True)
        (machine / "features" / name / "whole" / "aa.npz").write_bytes(b"numbers")
    os.utime(machine / "features" / ".old", (1, 1))
    forget(store, ANNA)
    assert [path.name for path in (machine / "features").iterdir()] == [".being written"]


def test_trainings_with_a_state_are_named(store: ResultsStore, machine: Path) -> None:
    label(store, ANNA)
    training = machine / "training"
    for file in (
        *("done/.lock", "comparisons/c1/.lock", "ablations/a1/.lock", "stopped/.lock"),
        *("stopped/states/3.pt", "comparisons/c2/.lock", "comparisons/c2/cell-1/3.pt"),
    ):
        (training / file).parent.mkdir(parents=True, exist_ok=True)
        (training / file).touch()
    _, found = plan_forgetting(store.location, ANNA, None)
    assert found.trainings == (training / "comparisons/c2", training / "stopped")


def test_copies_of_a_bucket_go(bucket: str, machine: Path, place_store: Any) -> None:
    store = place_store(f"{bucket}/store")
    label(store, ANNA, BEN)
    assert len(answer(store.location, "FROM labels")) == 2
    forget(store, ANNA)
    copies = [path for path in (machine / "parts").rglob("*") if path.is_file()]
    assert [path for path in copies if ANNA.encode() in path.read_bytes()] == []
