"""Model folders without their weights: file names, config, card, intervals, hash.

Beside config.json, model.safetensors, card.json and README.md, and what branches keep in folders of
their modalities' names (a tokenizer), a model that was trained on labelled
clips has intervals.json (`Intervals`) and training_clips.json (hashes of the clips that trained it
and of those that chose its epoch). Light to import: to read metadata needs no PyTorch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from emi_model.architecture.config import EmiConfig
from emi_model.checkpoints.card import ModelCard
from emi_model.errors import CheckpointError, ConfigError
from emi_model.metrics.conformal import Intervals

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"
README_FILE = "README.md"
INTERVALS_FILE = "intervals.json"
TRAINING_CLIPS_FILE = "training_clips.json"


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """All facts about a model, without its weights.

    Attributes:
        config: its architecture.
        card: its model card.
        sha256: hash of its config and weights, and of its intervals where it has some, hex.
        intervals: intervals around its scores; None if it was not calibrated.
        training_clips: SHA-256 (hex) of the files of its clips, by split; empty if unknown.
    """

    config: EmiConfig
    card: ModelCard
    sha256: str
    intervals: Intervals | None = None
    training_clips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def modalities(self) -> dict[str, bool]:
        """Modalities that it takes, each with whether a clip cannot be scored without it."""
        return self.config.needs

    @property
    def training_splits(self) -> dict[str, str]:
        """The split that each content had in its training, by the content's hash."""
        clips = self.training_clips.items()
        return {content: split for split, contents in clips for content in contents}


def checkpoint_metadata(folder: Path) -> ModelMetadata:
    """Read the metadata of a checkpoint of this project; its weights are only hashed.

    Raises:
        CheckpointError: a file is missing or damaged, or config, card and weights have different
            targets or orders of them.
    """
    with named(folder / CONFIG_FILE):
        config = EmiConfig.from_dict(read_config(folder))
    card = _read_card(folder)
    orders = {
        CONFIG_FILE: json.dumps(config.targets),
        CARD_FILE: json.dumps(card.targets),
        WEIGHTS_FILE: _recorded(folder / WEIGHTS_FILE).get("targets"),
    }
    if len(set(orders.values())) > 1:
        raise CheckpointError(f"{folder}: target orders differ: {orders}: restore the checkpoint")
    return ModelMetadata(
        config=config,
        card=card,
        sha256=_hash(folder, config),
        intervals=_read_intervals(folder, config.targets),
        training_clips=read_training_clips(folder),
    )


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put a file's name before the errors about its content."""
    try:
        yield
    except (ConfigError, CheckpointError) as error:
        if str(error).startswith(str(path)):
            raise
        raise type(error)(f"{path}: {error}") from error


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of a model folder's config.json.

    Raises:
        CheckpointError: it is missing, or it is no JSON object.
    """
    return _read_json(folder / CONFIG_FILE)


def hash_files(folder: Path, names: tuple[str, ...] = (CONFIG_FILE, WEIGHTS_FILE)) -> str:
    """Return one SHA-256 (hex) over the named files of a model folder."""
    joined = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as content:
            joined.update(hashlib.file_digest(content, "sha256").digest())
    return joined.hexdigest()


def _recorded(path: Path) -> dict[str, str]:
    """Return the metadata in the header of a safetensors file."""
    try:
        with safe_open(path, framework="np") as content:
            return content.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from error


def _hash(folder: Path, config: EmiConfig) -> str:
    """Return the hash of all files that influence a score's row: intervals are among them."""
    names: tuple[str, ...] = (CONFIG_FILE, WEIGHTS_FILE)
    if (folder / INTERVALS_FILE).is_file():
        names += (INTERVALS_FILE,)
    return hash_files(folder, names + branch_files(folder, config))


def read_training_clips(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the hashes of the clips of a checkpoint's training by split; empty if unknown.

    Raises:
        CheckpointError: its list of them is damaged.
    """
    path = folder / TRAINING_CLIPS_FILE
    if not path.is_file():
        return {}
    found = _read_json(path)
    for split, hashes in found.items():
        if not isinstance(hashes, list) or not all(isinstance(text, str) for text in hashes):
            raise CheckpointError(f"{path}: {split} is no list of hashes: restore the checkpoint")
    return {split: tuple(hashes) for split, hashes in found.items()}


def branch_files(folder: Path, config: EmiConfig) -> tuple[str, ...]:
    """Return the names of the files that branches keep in a checkpoint: ``text/tokenizer.json``."""
    found = (path for modality in config.modalities for path in (folder / modality).glob("*"))
    return tuple(sorted(path.relative_to(folder).as_posix() for path in found if path.is_file()))


def _read_intervals(folder: Path, targets: tuple[str, ...]) -> Intervals | None:
    path = folder / INTERVALS_FILE
    if not path.is_file():
        return None
    with named(path):
        intervals = Intervals.from_dict(_read_json(path))
    if intervals.targets != targets:
        raise CheckpointError(
            f"{path}: is of targets {list(intervals.targets)}, the model has {list(targets)}"
        )
    return intervals


def _read_card(folder: Path) -> ModelCard:
    try:
        return ModelCard.from_dict(_read_json(folder / CARD_FILE))
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / CARD_FILE}: no model card: {error!r}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: found a JSON {type(content).__name__}, expected an object")
    return content
