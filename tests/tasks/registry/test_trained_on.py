"""Which clips a registered model was trained on: its own list, or the labels of its snapshot."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from emi_model.errors import ModelNotFound
from tasks.labels.snapshots import LabelledRow, new_snapshot, read_snapshots, write_snapshot
from tasks.registry.client import mlflow_client
from tasks.registry.registry import all_versions, find, list_versions
from tasks.registry.tracking import start_run
from tasks.registry.trained_on import (
    TrainedOn,
    clips_trained_on,
    trained_on,
    trained_on_by_hash,
)
from tasks.registry.version import Version
from tasks.scoring.commit import RunStamp, tables_of
from tasks.store.store import ResultsStore
from tests.faulty_bucket import FaultyBucket
from tests.file_server import FileServer
from tests.places import DISK_AND_BUCKET

pytestmark = pytest.mark.usefixtures("emi_home")

CLIPS = {"train": ["of a", "of b"], "valid": ["of c"]}
SPLITS = {"of a": "train", "of b": "train", "of c": "valid"}

Registered = Callable[..., Version]


@pytest.fixture
def registered(tmp_path: Path) -> Registered:
    """Return a function that registers a version of ``emi`` whose files are these, nothing else."""

    def make(files: Mapping[str, Any], source: str | None = None, **tags: str) -> Version:
        folder = tmp_path / f"model {len(list_versions('emi'))}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
        run, client = start_run("t1", {}), mlflow_client()
        if not list_versions("emi"):
            client.create_registered_model("emi")
        client.create_model_version("emi", source or folder.as_uri(), run.run_id, tags)
        return list_versions("emi")[-1]

    return make


def label(store: ResultsStore, **splits: str) -> str:
    """Add a snapshot of clips whose contents are ``of NAME``; returns its id."""
    chain = read_snapshots(store)
    rows = [
        LabelledRow(name, f"of {name}", np.full(1, 0.5, np.float32), None, "", split)
        for name, split in splits.items()
    ]
    snapshot = new_snapshot(rows, ["Joy"], chain, file="labels.csv", seed=1)
    assert write_snapshot(store, snapshot)
    return snapshot.snapshot


def test_a_checkpoint_says_it(registered: Registered) -> None:
    version = registered({"training_clips.json": CLIPS}, sha256="aa")
    assert trained_on(version) == TrainedOn(SPLITS, "checkpoint")
    assert trained_on_by_hash("aa") == trained_on(version)
    assert trained_on_by_hash("bb") == TrainedOn({}, "unknown")
    assert [found.reference for found in all_versions()] == ["models:/emi/1"]


def test_on_a_server_with_models_of_others(registered: Registered, emi_home: Path) -> None:
    """MLflow lists 100 at a time, and takes names that its filters do not take."""
    registered({"training_clips.json": CLIPS}, sha256="aa")
    client = mlflow_client()
    client.create_registered_model("a colleague's")
    client.create_model_version("a colleague's", "file:///elsewhere", None)
    with sqlite3.connect(emi_home / "mlflow.db") as database:
        (name, *others) = [
            row[1] for row in database.execute("PRAGMA table_info(registered_models)")
        ]
        copied = ", ".join(others)
        database.executemany(
            f"INSERT INTO registered_models (name, {copied}) "
            f"SELECT ?, {copied} FROM registered_models WHERE name = 'emi'",
            [(f"a{number:03d}",) for number in range(100)],
        )
    database.close()
    assert name == "name"
    assert trained_on_by_hash("aa") == TrainedOn(SPLITS, "checkpoint")
    assert {found.name for found in all_versions()} == {"emi", "a colleague's"}
    with pytest.raises(ModelNotFound, match=r"found a colleague's, a000, .*, a018, \.\.\.: "):
        find("1", "none")


@DISK_AND_BUCKET
def test_of_an_earlier_version_its_label_snapshot_says_it(
    registered: Registered, store: ResultsStore
) -> None:
    label(store, a="train", b="test")
    second = label(store, b="train", c="valid")
    label(store, c="train", d="train")
    version = registered({}, snapshot=second)
    assert trained_on(version).origin == "unknown"
    assert trained_on(version, [store.location]) == TrainedOn(SPLITS, "labels")
    other = registered({}, snapshot="of another store")
    assert trained_on(other, [store.location]) == TrainedOn()


def test_files_that_are_gone_are_an_error_unless_labels_say_it(
    registered: Registered, store: ResultsStore, tmp_path: Path
) -> None:
    snapshot = label(store, a="train", b="train", c="valid")
    gone = (tmp_path / "gone").as_uri()
    version = registered({}, source=gone, snapshot=snapshot)
    assert trained_on(version, [store.location]).splits == SPLITS
    with pytest.raises(ModelNotFound, match="gone: restore it, or name the store"):
        trained_on(version)


def test_of_files_elsewhere_the_list_alone_is_fetched(
    registered: Registered, faulty: FaultyBucket, tmp_path: Path
) -> None:
    faulty.objects["models/x/training_clips.json"] = json.dumps(CLIPS).encode()
    faulty.objects["models/x/model.safetensors"] = b"large"
    in_bucket = registered({}, source=f"{faulty.uri}/models/x")
    without = registered({}, source=f"{faulty.uri}/models/y")
    assert trained_on(in_bucket) == TrainedOn(SPLITS, "checkpoint")
    assert trained_on(without) == TrainedOn()
    (tmp_path / "served" / "x").mkdir(parents=True)
    (tmp_path / "served" / "x" / "model.safetensors").write_bytes(b"large")
    with FileServer(tmp_path / "served") as server:
        version = registered({}, source=f"{server.uri}/x")
        assert trained_on(version) == TrainedOn()
        (tmp_path / "served" / "x" / "training_clips.json").write_text(json.dumps(CLIPS))
        assert trained_on(version) == TrainedOn(SPLITS, "checkpoint")
        assert [name for name in server.fetched if "safetensors" in name] == []


@DISK_AND_BUCKET
def test_clips_of_a_store(
    registered: Registered,
    store: ResultsStore,
    make_rows: Callable[..., pa.Table],
    make_stamp: Callable[..., RunStamp],
) -> None:
    rows = make_rows("a", "b", "new")
    store.commit("one", tables_of(rows, make_stamp(model_sha256="old")))
    stamp = make_stamp(model_sha256="says it", training_splits={"of b": "train"})
    store.commit("two", tables_of(rows, stamp))
    assert clips_trained_on(store.location, "says it") == {"b": "train"}
    assert clips_trained_on(store.location, "old") is None
    registered({}, sha256="old", snapshot=label(store, a="valid", elsewhere="train"))
    assert clips_trained_on(store.location, "old") == {"a": "valid"}
