"""Folders of model files: copied whole or not at all, and fetched once from a server."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from emi_model.errors import CheckpointError, RegistryError
from tasks.home import home
from tasks.mlflow_client import ask, tracking_uri
from tasks.results import place


def local_path(uri: str) -> Path | None:
    """Return the path that a file URI or a plain path names; None for what lies elsewhere."""
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder; what is at ``target`` afterwards is complete, and on the disk.

    Args:
        source: folder.
        target: absent, or an empty folder.

    Raises:
        RegistryError: it is neither, or cannot be written.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise RegistryError(f"{target}: exists and is not empty: choose another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as aside:
            copied = Path(aside) / "copy"
            shutil.copytree(source, copied, copy_function=shutil.copyfile)
            _place_folder(copied, target)
    except OSError as error:
        raise RegistryError(f"{target}: {source} cannot be copied there: {error}") from error


def fetch_folder(uri: str, sha256: str | None) -> Path:
    """Return a local folder with a model's files, downloaded unless it was before.

    Args:
        uri: where MLflow's server or a cloud has them.
        sha256: of the model, hex; checked after the download, None: unknown.

    Raises:
        RegistryError: they are not to be had, or are not the model they should be.
    """
    name = sha256 or hashlib.sha256(f"{tracking_uri()} {uri}".encode()).hexdigest()
    folder = home() / "models" / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f".{name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                _download(uri, sha256, folder)
    except OSError as error:
        raise RegistryError(f"{folder}: a model cannot be fetched there: {error}") from error
    return folder


def check_folder(folder: Path, sha256: str | None) -> None:
    """Check that a folder holds the model with this hash; None: any.

    Raises:
        RegistryError: it holds another, or none that can be loaded.
    """
    # imported here: a list of models should not wait for torch
    from emi_model.checkpoint import load_checkpoint

    try:
        found = load_checkpoint(folder).sha256
    except CheckpointError as error:
        raise RegistryError(f"no model that can be loaded: {error}") from error
    if found != sha256 and sha256:
        raise RegistryError(f"{folder}: found the model {found}, expected {sha256}: restore it")


def _download(uri: str, sha256: str | None, folder: Path) -> None:
    from mlflow.artifacts import download_artifacts

    for left in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
        downloaded = Path(ask(download_artifacts, uri, dst_path=aside, tracking_uri=tracking_uri()))
        check_folder(downloaded, sha256)
        _place_folder(downloaded, folder)


def _place_folder(complete: Path, target: Path) -> None:
    """Sync a folder's files and give it its final name."""
    for path in complete.rglob("*"):
        if path.is_file():
            with path.open("rb") as content:
                os.fsync(content.fileno())
    place(complete, target)
