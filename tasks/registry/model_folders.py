"""Folders of model files: copied completely or not at all, fetched once from server or bucket."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from emi_model.checkpoints.metadata import CONFIG_FILE, ModelMetadata, checkpoint_metadata
from emi_model.errors import CheckpointError, ModelNotFound, RegistryError
from emi_model.modalities import TRANSCRIPT, VISION
from tasks.home import home
from tasks.registry.client import ask, tracking_uri
from tasks.storage.folder import Folder, StoredFile
from tasks.storage.local import place
from tasks.storage.locks import file_lock
from tasks.storage.open import is_remote, open_folder

MODEL_FILES = ("*.json", "*.safetensors", "pytorch_model.bin", "README.md")
"""The files of a model folder in a bucket that are fetched; others in it are not."""

BRANCH_FILES = tuple(f"{modality}/*.json" for modality in (TRANSCRIPT, VISION))
"""The same of its branches' folders."""


def file_uri_to_path(uri: str) -> Path | None:
    """Return the path that a file URI or a plain path names; None for what lies elsewhere."""
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder; ``target`` only appears once its files are complete and synced to the disk.

    Args:
        source: folder.
        target: must be absent, or an empty folder.

    Raises:
        RegistryError: ``target`` is neither, or cannot be written.
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
    """Return a local folder with a registered model's files, downloaded unless it was before.

    Args:
        uri: of the folder on MLflow's server or in a bucket.
        sha256: of the model, hex; checked after the download unless None.

    Raises:
        RegistryError: the files cannot be downloaded, or are another model's.
    """

    def download(aside: Path) -> Path:
        downloaded = _downloaded(uri, aside)
        check_folder(downloaded, sha256)
        return downloaded

    name = sha256 or hashlib.sha256(f"{tracking_uri()} {uri}".encode()).hexdigest()
    return _fetched_once(name, download)


def fetch_model(uri: str) -> Path:
    """Return a local folder with the files of a model in a bucket; each node fetches them once.

    It has the name that the folder has in the bucket. If other files take that folder's place
    later, they are fetched to another local folder.

    Args:
        uri: of the model folder, ``s3://BUCKET/models/x``.

    Raises:
        ModelNotFound: there is no model folder, or it cannot be read.
        RegistryError: it cannot be written to this machine's disk.
    """
    folder, files = _model_files(uri)
    model_name = folder.uri.rpartition("/")[2]

    def download(aside: Path) -> Path:
        _save(folder, files, aside / "fetched" / model_name)
        if _model_files(uri)[1] != files:
            raise ModelNotFound(f"{uri}: it changed while it was fetched: try again")
        return aside / "fetched"

    listed = "".join(f" {file!r}" for file in files)
    name = hashlib.sha256(f"{folder.uri}{listed}".encode()).hexdigest()
    return _fetched_once(name, download) / model_name


def check_folder(folder: Path, sha256: str | None) -> None:
    """Check that a folder holds the model with this hash, or, for None, any that can be loaded.

    Raises:
        RegistryError: it holds another, or none that can be loaded.
    """
    try:
        metadata = checkpoint_metadata(folder)
        if sha256 is None:  # models are loaded before their hash is registered
            _check_weights(folder, metadata)
    except CheckpointError as error:
        raise RegistryError(f"no model that can be loaded: {error}") from error
    if sha256 and metadata.sha256 != sha256:
        raise RegistryError(
            f"{folder}: found the model {metadata.sha256}, expected {sha256}: restore it"
        )


def _check_weights(folder: Path, metadata: ModelMetadata) -> None:
    # imported here: a list of models should not wait for torch
    from emi_model.checkpoints.checkpoint import load_checkpoint

    load_checkpoint(folder, metadata)


def _fetched_once(name: str, download: Callable[[Path], Path]) -> Path:
    """Return a folder in `EMI_HOME` that all processes of a node share; fetch it if it is missing.

    Args:
        name: of the folder.
        download: fetches files below a given folder, and returns the folder that gets the name.
    """
    folder = home() / "models" / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(folder.parent / f".{name}.lock"):
            for left in folder.parent.glob(f".{name}-*"):
                shutil.rmtree(left)
            if not folder.is_dir():
                with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as aside:
                    _place_folder(download(Path(aside)), folder)
    except OSError as error:
        raise RegistryError(f"{folder}: a model cannot be fetched there: {error}") from error
    return folder


def _downloaded(uri: str, aside: Path) -> Path:
    """Fetch a registered model's files: from a bucket here, from anywhere else by MLflow."""
    if not is_remote(uri):
        from mlflow.artifacts import download_artifacts

        return Path(ask(download_artifacts, uri, dst_path=str(aside), tracking_uri=tracking_uri()))
    try:
        _save(*_model_files(uri), aside / "fetched")
    except ModelNotFound as error:
        raise RegistryError(str(error)) from error
    return aside / "fetched"


def _model_files(uri: str) -> tuple[Folder, list[StoredFile]]:
    with _bucket_errors():
        folder = open_folder(uri)
        # before files are listed: another folder may hold any number of them
        if not folder.exists(CONFIG_FILE):
            raise ModelNotFound(f"{uri}: holds no {CONFIG_FILE}: not a model folder")
        return folder, sorted(file for file in folder.files() if _is_of_model(file.name))


def _is_of_model(name: str) -> bool:
    patterns = BRANCH_FILES if "/" in name else MODEL_FILES
    return name.count("/") < 2 and any(fnmatchcase(name, pattern) for pattern in patterns)


def _save(folder: Folder, files: list[StoredFile], target: Path) -> None:
    target.mkdir(parents=True)
    for file in files:
        (target / file.name).parent.mkdir(exist_ok=True)
        with (target / file.name).open("wb") as copy:
            for piece in _pieces(folder, file.name):
                copy.write(piece)


def _pieces(folder: Folder, name: str) -> Iterator[bytes]:
    with _bucket_errors():
        yield from folder.chunks(name)


@contextmanager
def _bucket_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelNotFound(
            f"{error}: expected a model that can be read: are its name, the endpoint and the "
            "credentials right?"
        ) from error


def _place_folder(complete: Path, target: Path) -> None:
    """Sync a folder's files and give it its final name."""
    for path in complete.rglob("*"):
        if path.is_file():
            with path.open("rb") as content:
                os.fsync(content.fileno())
    place(complete, target)
