"""The model registry in MLflow: a model's versions, their files, and the references to them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from emi_model.errors import ModelNotFound, RegistryError
from tasks.registry.client import ask, locked, mlflow_client, never_used, registry_address
from tasks.registry.model_folders import copy_folder, fetch_folder, fetch_model, file_uri_to_path
from tasks.registry.version import (
    CHAMPION,
    MODEL,
    MODEL_SCHEME,
    NAME,
    Version,
    parse_reference,
    version_of,
)
from tasks.storage.open import is_remote

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel
    from mlflow.store.entities import PagedList

_MAX_NAMED = 20
"""Models that a message names."""

_Found = TypeVar("_Found")


def resolve_model(reference: str) -> str:
    """Return the local folder of a model that is registered or in a bucket, else the reference.

    Args:
        reference: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, ``s3://BUCKET/FOLDER`` or what
            `load_model` takes.

    Raises:
        ModelNotFound: no such model, version or alias, or its files are gone.
        RegistryError: the registry cannot be read, or the files cannot be fetched.
    """
    if is_remote(reference):
        return str(fetch_model(reference))
    return str(folder_of(find(reference))) if reference.startswith(MODEL_SCHEME) else reference


def pin_model(reference: str) -> str:
    """Return a registered model's reference with its version number, which no promotion changes.

    Any other reference is returned as it is.

    Raises:
        ModelNotFound: as `resolve_model`.
        RegistryError: likewise.
    """
    return find(reference).reference if reference.startswith(MODEL_SCHEME) else reference


def is_champion(reference: str) -> bool:
    """Return whether a reference is of a registered version that is the champion now.

    Raises:
        ModelNotFound: as `resolve_model`.
        RegistryError: likewise.
    """
    return reference.startswith(MODEL_SCHEME) and CHAMPION in find(reference).aliases


def list_versions(name: str = MODEL) -> list[Version]:
    """Return the versions of a model, oldest first; none if it was never registered.

    Raises:
        RegistryError: the registry cannot be read.
    """
    if never_used():
        return []
    client = mlflow_client()
    model = find_registered(client, name)
    if model is None:
        return []
    found = ask(client.search_model_versions, f"name = '{name}'")
    return sorted((version_of(version, model.aliases) for version in found), key=lambda v: v.number)


def all_versions() -> list[Version]:
    """Return every version of every registered model, by name, the oldest first.

    Raises:
        RegistryError: the registry cannot be read.
    """
    if never_used():
        return []
    client = mlflow_client()
    aliases = {model.name: model.aliases for model in _every(client.search_registered_models)}
    # without a filter: names of other programs may hold what no filter takes, such as quotes
    found = _every(client.search_model_versions)
    versions = (version_of(version, aliases.get(version.name, {})) for version in found)
    return sorted(versions, key=lambda version: (version.name, version.number))


def find(reference: str, name: str = MODEL) -> Version:
    """Return the version that a reference names.

    Args:
        reference: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, an alias, or a number.
        name: the model that an alias or a number is of.

    Raises:
        ModelNotFound: there is none; the message lists those that exist.
        RegistryError: the registry cannot be read.
    """
    name, number, alias = parse_reference(reference, name)
    versions = list_versions(name)
    for version in versions:
        if alias in version.aliases or (number == version.number):
            return version
    raise ModelNotFound(f"{reference}: {describe_registered(name, versions)}")


def folder_of(version: Version) -> Path:
    """Return the local folder with the files of a version; fetch them if they are elsewhere.

    Raises:
        ModelNotFound: the files are gone.
        RegistryError: the files cannot be fetched.
    """
    folder = file_uri_to_path(version.source)
    if folder is None:
        return fetch_folder(version.source, version.sha256)
    if not folder.is_dir():
        raise ModelNotFound(
            f"{version.reference}: its folder {folder} is gone: restore it, or name another version"
        )
    return folder


def register(name: str, checkpoint: Path, run_id: str, tags: Mapping[str, object]) -> int:
    """Register a checkpoint as a version of a model, and keep a copy of it with its run.

    The same checkpoint of the same run is registered only once; its tags are updated.

    Args:
        name: of the model.
        checkpoint: folder of this project's checkpoint.
        run_id: the MLflow run that made it.
        tags: those of `Version`, and others; None is left out. Recipe and licence default to those
            of the checkpoint's card; the hash is computed from the files.

    Returns:
        The version's number.

    Raises:
        CheckpointError: the folder is no checkpoint that can be loaded.
        RegistryError: MLflow does not know the run, or does not answer.
    """
    # imported here: a list of models should not wait for torch
    from emi_model.checkpoints.checkpoint import load_checkpoint

    if not NAME.fullmatch(name):
        raise RegistryError(f"{name!r} names no model: take letters, digits, '_', '-' and '.'")
    loaded = load_checkpoint(checkpoint)
    of_card = {"recipe": loaded.card.recipe, "licence": loaded.card.licences}
    given = {tag: value for tag, value in tags.items() if value is not None}
    plain = {
        tag: str(value) for tag, value in {**of_card, **given, "sha256": loaded.sha256}.items()
    }
    client = mlflow_client()
    with locked():
        for version in list_versions(name):
            if (version.run_id, version.sha256) == (run_id, loaded.sha256):
                _retag(client, version, plain)
                return version.number
        source = _keep(client, checkpoint, run_id, loaded.sha256)
        if find_registered(client, name) is None:
            ask(client.create_registered_model, name)
        return int(ask(client.create_model_version, name, source, run_id, plain).version)


def export(reference: str, folder: Path, name: str = MODEL) -> Version:
    """Copy the files of a version to a folder that is new or empty.

    Args:
        reference: as `find` takes it.
        folder: where to.
        name: the model that an alias or a number is of.

    Raises:
        ModelNotFound: no such version, or its files are gone.
        RegistryError: the folder holds something, or cannot be written.
    """
    version = find(reference, name)
    copy_folder(folder_of(version), folder)
    return version


def describe_registered(name: str, versions: list[Version]) -> str:
    """Return a sentence on what is registered, for a message that a model or version is not.

    Raises:
        RegistryError: the registry cannot be read.
    """
    if versions:
        listed = ", ".join(str(version) for version in versions)
        return f"{name} has the versions {listed}: name one of them"
    names = []
    if not never_used():
        names = [model.name for model in _every(mlflow_client().search_registered_models)]
    shown = [*names[:_MAX_NAMED], *(["..."] if len(names) > _MAX_NAMED else [])]
    found = f"found {', '.join(shown)}" if names else "found none"
    train = "emi train" if name == MODEL else f"emi train --name {name}"
    return (
        f"no model {name} is registered in {registry_address()}, {found}: `{train}` registers one"
    )


def find_registered(client: MlflowClient, name: str) -> RegisteredModel | None:
    """Return MLflow's record of a model; None if it was never registered."""
    found = ask(client.search_registered_models, f"name = '{name}'")
    return found[0] if found else None


def _every(search: Callable[..., PagedList[_Found]]) -> list[_Found]:
    """Return all that a search finds: MLflow gives 100 models at a time."""
    page = ask(search)
    found = list(page)
    while page.token:
        page = ask(search, page_token=page.token)
        found += page
    return found


def _keep(client: MlflowClient, checkpoint: Path, run_id: str, sha256: str) -> str:
    """Copy a checkpoint to the files of a run; returns its URI there."""
    files = str(ask(client.get_run, run_id).info.artifact_uri)
    folder = f"checkpoint-{sha256[:16]}"
    local = file_uri_to_path(files)
    if local is None:
        ask(client.log_artifacts, run_id, str(checkpoint), folder)
    elif not (local / folder).exists():
        for left in local.glob(f".{folder}-*"):
            shutil.rmtree(left)
        copy_folder(checkpoint, local / folder)
    return f"{files}/{folder}"


def _retag(client: MlflowClient, version: Version, tags: Mapping[str, str]) -> None:
    for tag, value in tags.items():
        if version.tags.get(tag) != value:
            ask(client.set_model_version_tag, version.name, str(version.number), tag, value)
