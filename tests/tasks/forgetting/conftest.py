"""Fixtures: a store of which every table holds two clips, and a machine of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.storage.buckets import BucketFolder
from tasks.storage.local import LocalFolder
from tasks.store.store import ResultsStore, create_store
from tasks.store.writers import DiskWriter
from tests.tasks.forgetting.forgettable import Killed, fill


@pytest.fixture(scope="session")
def files_of_filled_store(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Return what a store that `fill` filled holds, in a bucket's names."""
    store = create_store(tmp_path_factory.mktemp("filled") / "store")
    fill(store)
    return {file.name: store.folder.read(file.name) for file in store.folder.files()}


@pytest.fixture
def filled(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    place_store: Callable[..., ResultsStore],
    files_of_filled_store: Mapping[str, bytes],
) -> ResultsStore:
    """Return a filled store: on a disk; with `IN_BOTH` also in a bucket."""
    files = {name: content for name, content in files_of_filled_store.items() if "/" in name}
    if getattr(request, "param", "disk") == "bucket":
        return place_store(f"{request.getfixturevalue('bucket')}/a store", files)
    return place_store(tmp_path / "filled", files)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an `EMI_HOME` for this test alone, without a registry."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("EMI_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return home


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Return a function that ends whatever is done after so many changes of files; None: never."""
    left: list[int | None] = [None]

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any) -> Any:
            if left[0] is not None:
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
            return change(*arguments)

        return changed

    for kind, names in (
        (LocalFolder, ("write", "create", "remove")),
        (BucketFolder, ("write", "create", "remove")),
        (DiskWriter, ("put",)),
    ):
        for name in names:
            monkeypatch.setattr(kind, name, counted(getattr(kind, name)))
    monkeypatch.setattr("tasks.store.writers.WRITES_AT_ONCE", 1)

    def start(number: int | None) -> None:
        left[0] = number

    return start
