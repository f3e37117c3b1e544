"""Models that were trained on forgotten clips are named, with how many of them they saw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.forgetting.forget import plan_forgetting
from tasks.forgetting.models import versions_trained_on
from tasks.registry.client import mlflow_client
from tasks.registry.tracking import start_run
from tasks.store.store import ResultsStore
from tests.tasks.forgetting.forgettable import ANNA, BEN, CONTENT, label

pytestmark = pytest.mark.usefixtures("emi_home")


def register_version(folder: Path, training_clips: object = None, **tags: str) -> None:
    """Register a version of ``emi`` of which nothing but the list of its clips is there."""
    folder.mkdir()
    if training_clips is not None:
        (folder / "training_clips.json").write_text(json.dumps(training_clips))
    client = mlflow_client()
    if not client.search_registered_models():
        client.create_registered_model("emi")
    client.create_model_version("emi", folder.as_uri(), start_run("t1", {}).run_id, tags)


def test_versions_by_what_is_known_of_them(store: ResultsStore, tmp_path: Path) -> None:
    snapshot = label(store, ANNA, BEN)
    anna, ben = CONTENT[ANNA], CONTENT[BEN]
    register_version(tmp_path / "1", {"train": [ben], "valid": [anna, "other"]})
    register_version(tmp_path / "2", {"train": [ben]})
    register_version(tmp_path / "3", snapshot=snapshot)
    register_version(tmp_path / "4")
    register_version(tmp_path / "5", {"train": "no list"})
    found = {one.version.number: one for one in versions_trained_on({anna}, [store.location])}
    assert {number: (one.num_train, one.num_valid) for number, one in found.items()} == {
        1: (0, 1),
        3: (1, 0),
        4: (None, None),
        5: (None, None),
    }
    assert found[1].why == found[3].why == ""
    assert found[4].why.startswith("it does not say")
    assert "no list of hashes" in found[5].why
    _, planned = plan_forgetting(store.location, ANNA, None)
    assert [one.version.number for one in planned.models] == [1, 3, 4, 5]
    assert planned.amount.num_models == 2


def test_a_registry_that_cannot_be_asked(store: ResultsStore, emi_home: Path) -> None:
    label(store, ANNA)
    (emi_home / "mlflow.db").write_bytes(b"no database")
    _, found = plan_forgetting(store.location, ANNA, None)
    assert found.amount.num_models is None
    assert "no readable SQLite database" in found.registry_error
