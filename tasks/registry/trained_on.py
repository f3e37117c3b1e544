"""Which clips a registered model was trained on, by the hashes of their files.

A checkpoint says it in a file of its own. One of an earlier version does not: then the label
snapshot says it that the version's tag names, where a results store still has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pyarrow.dataset as ds

from emi_model.checkpoints.metadata import TRAINING_CLIPS_FILE, read_training_clips
from emi_model.errors import ModelNotFound
from tasks.home import home
from tasks.registry.client import ask, tracking_uri
from tasks.registry.model_folders import file_uri_to_path
from tasks.registry.registry import all_versions
from tasks.registry.version import Version
from tasks.schema.registers import labels_schema
from tasks.schema.scores import scores_schema
from tasks.schema.tables import LABELS, SCORES
from tasks.storage.open import is_remote, open_folder
from tasks.store.store import open_store

SaidBy = Literal["checkpoint", "labels", "unknown"]

USED = ("train", "valid")
"""Splits that have a part in a training: the second chooses the epoch and calibrates."""


@dataclass(frozen=True)
class TrainedOn:
    """What a training used.

    Attributes:
        splits: ``train`` (it learnt from the clip) or ``valid`` (the clip chose its epoch and
            calibrated it), by the SHA-256 of the clip's file, hex.
        origin: what says so; ``unknown``: nothing does, and ``splits`` is empty.
    """

    splits: Mapping[str, str] = field(default_factory=dict)
    origin: SaidBy = "unknown"


def trained_on(version: Version, labels: Iterable[str | Path] = ()) -> TrainedOn:
    """Return the clips of a version's training.

    Args:
        version: registered; of its files, those elsewhere are not fetched but for the list.
        labels: results stores, on a disk or in a bucket, that may hold its label snapshot.

    Raises:
        ModelNotFound: its files are gone, and no store has its labels.
        RegistryError: its list of clips cannot be fetched.
        StoreError: one of the stores cannot be read.
    """
    gone: ModelNotFound | None = None
    try:
        recorded = _recorded(version)
    except ModelNotFound as error:
        recorded, gone = {}, error
    if recorded:
        return TrainedOn(recorded, "checkpoint")
    snapshot = version.tags.get("snapshot")
    for location in labels if snapshot else ():
        found = _in_snapshot(location, str(snapshot))
        if found:
            return TrainedOn(found, "labels")
    if gone is not None:
        raise gone
    return TrainedOn()


def trained_on_by_hash(model_sha256: str, labels: Iterable[str | Path] = ()) -> TrainedOn:
    """Return the clips of the training of a model, by the hash that its scores carry.

    Args:
        model_sha256: hex; of a model that is not registered nothing is known.
        labels: as in `trained_on`.

    Raises:
        ModelNotFound: as `trained_on`.
        RegistryError: likewise, or the registry cannot be read.
        StoreError: as `trained_on`.
    """
    stores = list(labels)
    for version in all_versions():
        if version.sha256 == model_sha256:
            return trained_on(version, stores)
    return TrainedOn()


def clips_trained_on(
    location: str | Path, model_sha256: str, labels: Iterable[str | Path] = ()
) -> dict[str, str] | None:
    """Return those clips of a store's scores that their model was trained on.

    Args:
        location: of the store, on a disk or in a bucket.
        model_sha256: of the model whose scores are meant, hex.
        labels: further stores that may hold the model's label snapshot.

    Returns:
        ``train`` or ``valid`` by clip id; None if nothing says what the model was trained on:
        neither the rows, nor the registry, nor the labels.

    Raises:
        ModelNotFound: as `trained_on`.
        RegistryError: as `trained_on_by_hash`.
        StoreError: as `trained_on`.
    """
    wanted = ds.field("model_sha256") == model_sha256
    columns = ["clip_id", "content_sha256", "training_split"]
    rows = open_store(location).rows(SCORES, scores_schema(), wanted, columns)
    clip_ids, contents, splits = (rows[name].to_pylist() for name in columns)
    recorded = {clip: split for clip, split in zip(clip_ids, splits, strict=True) if split}
    if recorded:
        return recorded
    found = trained_on_by_hash(model_sha256, [location, *labels])
    if found.origin == "unknown":
        return None
    return {
        clip_id: found.splits[content]
        for clip_id, content in zip(clip_ids, contents, strict=True)
        if content in found.splits
    }


def _recorded(version: Version) -> dict[str, str]:
    """Return split by content as the checkpoint records it; empty if it does not."""
    folder = file_uri_to_path(version.source)
    fetched = home() / "models" / (version.sha256 or "unknown")
    if folder is None and fetched.is_dir():
        folder = fetched
    if folder is not None:
        if not folder.is_dir():
            raise ModelNotFound(
                f"{version.reference}: its folder {folder} is gone: restore it, or name the store "
                "with its labels"
            )
        return _by_content(folder)
    with TemporaryDirectory(prefix="emi-clips-") as aside:
        _fetch_list(version.source, Path(aside))
        return _by_content(Path(aside))


def _by_content(folder: Path) -> dict[str, str]:
    by_split = read_training_clips(folder)
    return {content: split for split, contents in by_split.items() for content in contents}


def _fetch_list(source: str, target: Path) -> None:
    """Fetch a model folder's list of clips from a bucket or MLflow's server, if it has one."""
    if is_remote(source):
        try:
            content = open_folder(source).read(TRAINING_CLIPS_FILE)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ModelNotFound(f"{source}: cannot be read: {error}") from error
        (target / TRAINING_CLIPS_FILE).write_bytes(content)
        return
    from mlflow.artifacts import download_artifacts, list_artifacts

    address = tracking_uri()
    listed = ask(list_artifacts, source, tracking_uri=address)
    if any(file.path.rpartition("/")[2] == TRAINING_CLIPS_FILE for file in listed):
        file = f"{source}/{TRAINING_CLIPS_FILE}"
        ask(download_artifacts, file, dst_path=str(target), tracking_uri=address)


def _in_snapshot(location: str | Path, snapshot: str) -> dict[str, str]:
    """Return split by content of the labels of a store as of a snapshot; none without it."""
    columns = ["clip_id", "content_sha256", "split", "number", "snapshot"]
    rows = open_store(location).rows(LABELS, labels_schema(()), ds.scalar(True), columns)
    labelled = rows.sort_by("number").to_pylist()
    last = next((row["number"] for row in labelled if row["snapshot"] == snapshot), 0)
    latest = {row["clip_id"]: row for row in labelled if row["number"] <= last}
    return {row["content_sha256"]: row["split"] for row in latest.values() if row["split"] in USED}
