from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emi_model.checkpoints.checkpoint import load_checkpoint
from emi_model.errors import CheckpointError, ModelNotFound, RegistryError
from tasks.registry.champion import promote, rollback
from tasks.registry.client import mlflow_client
from tasks.registry.model_folders import file_uri_to_path
from tasks.registry.registry import export, find, folder_of, list_versions, register, resolve_model
from tasks.registry.tracking import EXPERIMENT, start_run
from tests.file_server import FileServer

pytestmark = pytest.mark.usefixtures("emi_home")


def champion() -> int | None:
    return next((v.number for v in list_versions("emi") if "champion" in v.aliases), None)


def test_a_version_says_where_it_comes_from(checkpoints: list[Path]) -> None:
    run = start_run("t1", {})
    tags = {
        "snapshot": "5a",
        "split_sha256": "5b",
        "mean_pearson": 0.5,
        "mean_pearson_low": "much",
        "licence": None,
        "note": "by hand",
    }
    folder = checkpoints[0]
    assert register("emi", folder, run.run_id, tags) == 1
    (version,) = list_versions("emi")
    row = version.row()
    assert version.tags["note"] == "by hand"
    assert (row["recipe"], row["licence"]) == ("debug", "MIT")
    assert (row["snapshot"], row["split_sha256"]) == ("5a", "5b")
    assert (row["mean_pearson"], row["mean_pearson_low"]) == (0.5, None)
    assert (row["version"], row["aliases"], row["run_id"]) == (1, [], run.run_id)
    assert row["sha256"] == load_checkpoint(folder).sha256


def test_what_is_registered_stays_when_the_training_writes_anew(
    checkpoints: list[Path], tmp_path: Path
) -> None:
    shutil.copytree(checkpoints[0], tmp_path / "model")
    register("emi", tmp_path / "model", start_run("t1", {}).run_id, {})
    shutil.rmtree(tmp_path / "model")
    loaded = load_checkpoint(Path(resolve_model("models:/emi/1")))
    assert loaded.sha256 == load_checkpoint(checkpoints[0]).sha256


def test_the_same_checkpoint_of_a_run_is_registered_once(
    checkpoints: list[Path],
) -> None:
    first, second = start_run("t1", {}), start_run("t2", {})
    folder = checkpoints[0]
    assert register("emi", folder, first.run_id, {"mean_pearson": 0.5}) == 1
    assert register("emi", folder, first.run_id, {"mean_pearson": 0.6}) == 1
    assert register("emi", checkpoints[1], first.run_id, {}) == 2
    assert register("emi", folder, second.run_id, {}) == 3
    assert list_versions("emi")[0].row()["mean_pearson"] == 0.6


def test_a_registration_that_was_killed_is_made_again(
    checkpoints: list[Path], emi_home: Path
) -> None:
    run = start_run("t1", {})
    folder = checkpoints[0]
    sha256 = load_checkpoint(folder).sha256
    files = file_uri_to_path(mlflow_client().get_run(run.run_id).info.artifact_uri)
    assert files is not None
    assert files.is_relative_to(emi_home / "artifacts")
    left = files / f".checkpoint-{sha256[:16]}-cut"
    left.mkdir(parents=True)
    shutil.copytree(folder, files / f"checkpoint-{sha256[:16]}")
    assert register("emi", folder, run.run_id, {}) == 1
    shutil.rmtree(files / f"checkpoint-{sha256[:16]}")
    mlflow_client().delete_model_version("emi", "1")
    assert register("emi", folder, run.run_id, {}) == 2
    assert not left.exists()
    assert folder_of(find("2")).is_dir()


def test_what_is_no_checkpoint_is_not_registered(tmp_path: Path) -> None:
    run = start_run("t1", {})
    with pytest.raises(CheckpointError):
        register("emi", tmp_path, run.run_id, {})
    assert list_versions("emi") == []


def test_a_run_or_name_that_cannot_be(checkpoints: list[Path]) -> None:
    folder = checkpoints[0]
    with pytest.raises(RegistryError, match="not found"):
        register("emi", folder, "0" * 32, {})
    with pytest.raises(RegistryError, match="names no model"):
        register("it's", folder, "0" * 32, {})


def test_champions_are_promoted_and_rolled_back_one_by_one(
    registered: Callable[[int], list[str]],
) -> None:
    hashes = registered(3)
    for number in (1, 3, 3, 2, 1):
        assert promote("emi", number).aliases == ("champion",)
    assert load_checkpoint(Path(resolve_model("models:/emi@champion"))).sha256 == hashes[0]
    assert [rollback("emi").number for _ in range(3)] == [2, 3, 1]
    with pytest.raises(RegistryError, match="no champion before") as caught:
        rollback("emi")
    assert "versions 1 (champion), 2, 3" in str(caught.value)
    assert champion() == 1
    promote("emi", 3)
    assert rollback("emi").number == 1


def test_an_alias_set_by_hand_or_a_promotion_cut_short_does_not_confuse_the_history(
    registered: Callable[[int], list[str]],
) -> None:
    registered(3)
    promote("emi", 1)
    mlflow_client().set_registered_model_alias("emi", "champion", "2")
    assert rollback("emi").number == 1
    promote("emi", 2)
    # killed between the history and the alias
    mlflow_client().set_registered_model_tag("emi", "champions", "[1, 2, 3]")
    assert champion() == 2
    assert rollback("emi").number == 1


def test_without_a_champion_there_is_none_before(registered: Callable[[int], list[str]]) -> None:
    registered(1)
    with pytest.raises(RegistryError, match="no champion before"):
        rollback("emi")


def test_versions_that_were_deleted_are_passed_over(registered: Callable[[int], list[str]]) -> None:
    registered(3)
    for number in (1, 2, 3):
        promote("emi", number)
    mlflow_client().delete_model_version("emi", "2")
    assert rollback("emi").number == 1


@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_no_version_becomes_champion_that_cannot_be_used(
    registered: Callable[[int], list[str]], damage: str
) -> None:
    registered(2)
    promote("emi", 1)
    folder = folder_of(find("2"))
    if damage == "gone":
        shutil.rmtree(folder)
        with pytest.raises(ModelNotFound, match=r"models:/emi/2: its folder .* is gone"):
            resolve_model("models:/emi/2")
    elif damage == "cut":
        (folder / "model.safetensors").write_bytes(b"short")
    else:
        shutil.copytree(folder_of(find("1")), folder, dirs_exist_ok=True)
    with pytest.raises(RegistryError, match="models:/emi/2 does not become champion"):
        promote("emi", 2)
    assert champion() == 1

    mlflow_client().set_registered_model_tag("emi", "champions", "[2, 1]")
    with pytest.raises(RegistryError, match="models:/emi/2 does not become champion"):
        rollback("emi")
    assert champion() == 1


def test_references_that_name_nothing_say_what_there_is(
    registered: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as fresh:
        fresh.setenv("EMI_HOME", str(tmp_path / "fresh"))
        with pytest.raises(ModelNotFound, match="found none: `emi train` registers one"):
            resolve_model("models:/emi@champion")
        assert not (tmp_path / "fresh").exists()
    with pytest.raises(ModelNotFound, match="found none"):
        resolve_model("models:/emi@champion")
    registered(2)
    promote("emi", 2)
    for reference in ("models:/emi@best", "models:/emi/7", "best", "7"):
        with pytest.raises(ModelNotFound, match=r"emi has the versions 1, 2 \(champion\)"):
            find(reference)
    with pytest.raises(ModelNotFound, match=r"no model ime is registered in .*, found emi"):
        resolve_model("models:/ime/1")
    for reference in ("models:/emi", "models:/emi/latest", "models:emi@champion", "models:/a'b/1"):
        with pytest.raises(ModelNotFound, match="expected models:/NAME@ALIAS"):
            resolve_model(reference)


def test_any_other_reference_is_left_as_it_is() -> None:
    for reference in ("demo/model", "owner/name", "/no/such/folder"):
        assert resolve_model(reference) == reference


def test_a_version_is_exported_to_a_folder_of_its_own(
    registered: Callable[[int], list[str]], tmp_path: Path
) -> None:
    (sha256,) = registered(1)
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "new" / "folder"):
        export("models:/emi/1", folder)
        assert load_checkpoint(folder).sha256 == sha256
        assert {path.name for path in folder.parent.iterdir()} >= {folder.name}
    with pytest.raises(RegistryError, match="exists and is not empty"):
        export("1", tmp_path / "empty")
    with pytest.raises(RegistryError, match="cannot be copied"):
        export("1", Path("/proc/nowhere/model"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    """Return a server on which runs of `EXPERIMENT` keep their files."""
    with FileServer(tmp_path / "served") as listening:
        mlflow_client().create_experiment(EXPERIMENT, f"{listening.uri}/files")
        yield listening


def test_files_on_a_server_are_fetched_once(
    server: FileServer, registered: Callable[[int], list[str]], emi_home: Path
) -> None:
    (sha256,) = registered(1)
    (emi_home / "models").mkdir()
    (emi_home / "models" / f".{sha256}-cut").mkdir()
    promote("emi", 1)
    folder = Path(resolve_model("models:/emi@champion"))
    assert load_checkpoint(folder).sha256 == sha256
    assert folder == emi_home / "models" / sha256
    assert sorted(server.fetched) == ["README.md", "card.json", "config.json", "model.safetensors"]
    assert {path.name for path in folder.parent.iterdir()} == {f".{sha256}.lock", sha256}


def test_files_on_a_server_that_are_another_model_are_not_kept(
    server: FileServer, registered: Callable[[int], list[str]], emi_home: Path
) -> None:
    registered(2)
    first, second = (
        next(server.root.rglob(f"checkpoint-{v.sha256[:16]}")) for v in list_versions()
    )
    shutil.copytree(second, first, dirs_exist_ok=True)
    with pytest.raises(RegistryError, match="found the model"):
        resolve_model("models:/emi/1")
    shutil.rmtree(first)
    with pytest.raises(RegistryError, match="MLflow at"):
        resolve_model("models:/emi/1")
    assert not [path for path in (emi_home / "models").iterdir() if path.is_dir()]
