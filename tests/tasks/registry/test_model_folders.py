"""Models in buckets: fetched once a node, whole or not at all."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from emi_model.checkpoints.load import load_model
from emi_model.errors import ModelNotFound, RegistryError
from emi_model.training.recipes import debug
from tasks.registry.client import mlflow_client
from tasks.registry.registry import find, folder_of, resolve_model
from tasks.storage.open import open_folder
from tasks.training.plan import start_of
from tests.faulty_bucket import FaultyBucket
from tests.tiny import BACKBONE


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    config = EmiConfig(backbone=BACKBONE)
    card = ModelCard("tiny", config.targets, backbone_licence="MIT", recipe="debug")
    save_checkpoint(folder, EmiModel(config).eval(), card)
    return folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where fetched models are kept."""
    monkeypatch.setenv("EMI_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def served(faulty: FaultyBucket, checkpoint: Path) -> FaultyBucket:
    """Return a bucket with the model at ``models/my model#1``."""
    for path in checkpoint.iterdir():
        faulty.objects[f"models/my model#1/{path.name}"] = path.read_bytes()
    return faulty


def kept(models: Path) -> list[Path]:
    return [path for path in models.glob("*") if path.is_dir()]


def test_a_model_is_fetched_once(
    served: FaultyBucket, models: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"{served.uri}/models/my model#1"
    for beside in ("optimiser.pt", "logs/config.json", "weights.h5"):
        served.objects[f"models/my model#1/{beside}"] = b"large"
    folder = Path(resolve_model(uri))
    assert (folder.name, folder.parent.parent) == ("my model#1", models)
    assert {path.name for path in folder.iterdir()} == {p.name for p in checkpoint.iterdir()}
    assert load_model(str(folder)).sha256 == load_checkpoint(checkpoint).sha256
    fetched = [name for name in served.asked if name.startswith("GET")]
    assert len(fetched) == len(set(fetched)) == len(list(checkpoint.iterdir()))
    assert resolve_model(f"{uri}/") == str(folder)
    assert [name for name in served.asked if name.startswith("GET")] == fetched
    start = start_of(replace(debug(), backbone=None), uri)
    assert start is not None
    assert start.folder == str(folder)


def test_files_of_branches_are_fetched(served: FaultyBucket, models: Path) -> None:
    for name in ("text/tokenizer.json", "text/model.safetensors", "text/old/tokenizer.json"):
        served.objects[f"models/my model#1/{name}"] = b"{}"
    folder = Path(resolve_model(f"{served.uri}/models/my model#1"))
    assert [path.name for path in (folder / "text").rglob("*")] == ["tokenizer.json"]


def test_another_content_is_another_model(bucket: str, models: Path, checkpoint: Path) -> None:
    place = open_folder(f"{bucket}/tiny")
    for path in checkpoint.iterdir():
        place.write(path.name, path.read_bytes())
    first = resolve_model(place.uri)
    place.write("README.md", b"changed")
    second = resolve_model(place.uri)
    assert first != second
    assert [Path(folder, "README.md").read_bytes() for folder in (first, second)] == [
        (checkpoint / "README.md").read_bytes(),
        b"changed",
    ]
    assert len(kept(models)) == 2


def test_many_at_once_fetch_it_once(served: FaultyBucket, models: Path) -> None:
    uri = f"{served.uri}/models/my model#1"
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(resolve_model(uri)), daemon=True)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1
    assert served.asked.count("GET models/my model#1/model.safetensors") == 1
    assert len(kept(models)) == 1


class TestNotWhole:
    def test_no_model_there(self, served: FaultyBucket, models: Path) -> None:
        for uri in (served.uri, f"{served.uri}/models", f"{served.uri}/gone"):
            with pytest.raises(ModelNotFound, match=r"holds no config\.json: not a model folder"):
                resolve_model(uri)
        assert "LIST" not in served.asked
        assert not models.exists()

    @pytest.mark.parametrize("fault", [(403, "AccessDenied"), (500, "InternalError")])
    def test_a_file_that_is_not_given(
        self, fault: tuple[int, str], served: FaultyBucket, models: Path
    ) -> None:
        served.faults["models/my model#1/model.safetensors"] = fault
        uri = f"{served.uri}/models/my model#1"
        with pytest.raises(ModelNotFound, match=f"^s3://.*{fault[1]} some words: expected a model"):
            resolve_model(uri)
        assert kept(models) == []
        served.faults.clear()
        assert load_model(resolve_model(uri)).card.name == "tiny"

    def test_a_model_that_changes_meanwhile(self, served: FaultyBucket, models: Path) -> None:
        key = "models/my model#1/README.md"
        served.on_get[key] = lambda: served.objects.update({key: b"other"})
        with pytest.raises(ModelNotFound, match="it changed while it was fetched: try again"):
            resolve_model(f"{served.uri}/models/my model#1")
        assert kept(models) == []

    def test_a_disk_that_takes_nothing(
        self, served: FaultyBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("EMI_HOME", str(tmp_path / "file"))
        with pytest.raises(RegistryError, match="a model cannot be fetched there"):
            resolve_model(f"{served.uri}/models/my model#1")


@pytest.mark.usefixtures("emi_home")
class TestRegistered:
    """Versions whose files MLflow knows to lie in a bucket."""

    def registered(self, uri: str, sha256: str) -> None:
        client = mlflow_client()
        client.create_registered_model("emi")
        client.create_model_version("emi", uri, tags={"sha256": sha256})

    def test_their_files_are_fetched(
        self, served: FaultyBucket, emi_home: Path, checkpoint: Path
    ) -> None:
        sha256 = load_checkpoint(checkpoint).sha256
        self.registered(f"{served.uri}/models/my model#1", sha256)
        folder = Path(resolve_model("models:/emi/1"))
        assert folder == emi_home / "models" / sha256
        assert load_checkpoint(folder).sha256 == sha256

    def test_another_model_or_none(self, served: FaultyBucket, emi_home: Path) -> None:
        self.registered(f"{served.uri}/models/my model#1", "ab" * 32)
        with pytest.raises(RegistryError, match="found the model"):
            folder_of(find("1"))
        served.objects.clear()
        with pytest.raises(RegistryError, match=r"holds no config\.json"):
            folder_of(find("1"))
        assert kept(emi_home / "models") == []
