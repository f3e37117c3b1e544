"""Checkpoints: a folder with config.json, model.safetensors, card.json and README.md.

Beside them, of a model that was trained on labelled clips: intervals.json (`Intervals`) and
training_clips.json (which contents trained it, and which chose its epoch).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from emi_model.card import ModelCard
from emi_model.config import EmiConfig
from emi_model.conformal import Intervals
from emi_model.errors import CheckpointError
from emi_model.model import EmiModel

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"
README_FILE = "README.md"
INTERVALS_FILE = "intervals.json"
TRAINING_CLIPS_FILE = "training_clips.json"


@dataclass(frozen=True)
class LoadedModel:
    """A model with its papers.

    Attributes:
        model: the model, in evaluation mode.
        card: where it comes from.
        sha256: hash of its config and weights, and of its intervals where it has some, hex.
        intervals: intervals around its scores; None where it was not calibrated.
        training_clips: SHA-256 (hex) of the files of its clips, by split; empty where unknown.
    """

    model: EmiModel
    card: ModelCard
    sha256: str
    intervals: Intervals | None = None
    training_clips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def save_checkpoint(
    folder: Path,
    model: EmiModel,
    card: ModelCard,
    *,
    intervals: Intervals | None = None,
    training_clips: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write a checkpoint; what is at ``folder`` afterwards is complete.

    Args:
        folder: new, empty, or a checkpoint that is replaced.
        model: the model.
        card: where it comes from.
        intervals: intervals around its scores.
        training_clips: SHA-256 (hex) of the files of its clips, by split.

    Raises:
        CheckpointError: the card names other targets than the model, or the folder is in use by
            something that is no checkpoint.
    """
    if card.targets != model.config.targets:
        raise CheckpointError(
            f"card names targets {list(card.targets)}, the model has {list(model.config.targets)}"
        )
    if folder.exists() and not _replaceable(folder):
        raise CheckpointError(f"{folder} exists and is no checkpoint: choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (aside / "new").mkdir()
        if intervals is not None:
            _write_json(aside / "new" / INTERVALS_FILE, intervals.to_dict())
        if training_clips:
            plain = {split: sorted(hashes) for split, hashes in training_clips.items()}
            _write_json(aside / "new" / TRAINING_CLIPS_FILE, plain)
        _write(aside / "new", model, card)
        if folder.exists():  # set aside whole: removing it in place would leave a half one
            folder.rename(aside / "old")
        (aside / "new").rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load_checkpoint(folder: Path) -> LoadedModel:
    """Load a checkpoint that `save_checkpoint` wrote.

    Raises:
        CheckpointError: a file is missing or damaged, weights are missing (none is ever newly
            initialised), superfluous or of another shape, or config, card and weights disagree on
            the targets and their order.
    """
    config = EmiConfig.from_dict(read_config(folder))
    card = _read_card(folder)
    state, recorded = read_safetensors(folder / WEIGHTS_FILE)
    orders = {
        CONFIG_FILE: json.dumps(config.targets),
        CARD_FILE: json.dumps(card.targets),
        WEIGHTS_FILE: recorded.get("targets"),
    }
    if len(set(orders.values())) > 1:
        raise CheckpointError(f"{folder}: target orders differ: {orders}: restore the checkpoint")
    return LoadedModel(
        model=build(config, state, folder),
        card=card,
        sha256=_hash(folder),
        intervals=_read_intervals(folder, config.targets),
        training_clips=_read_training_clips(folder),
    )


def build(config: EmiConfig, state: Mapping[str, Tensor], source: Path) -> EmiModel:
    """Return the model of a config with exactly these weights.

    Raises:
        CheckpointError: a weight is missing, superfluous or of another shape.
    """
    with torch.device("meta"):  # no first weights are drawn: that takes longer than to read these
        model = EmiModel(config)
    check_weights(model.state_dict(), state, source)
    # copies: what safetensors gives is the file itself, which somebody may write to
    own = {name: weight.to(torch.float32, copy=True) for name, weight in state.items()}
    model.load_state_dict(own, assign=True)
    return model.eval()


def check_weights(
    expected: Mapping[str, Tensor], state: Mapping[str, Tensor], source: Path
) -> None:
    """Check that a state holds exactly the expected weights, by name and shape.

    Raises:
        CheckpointError: a weight is missing, superfluous or of another shape.
    """
    wanted = {name: tuple(weight.shape) for name, weight in expected.items()}
    found = {name: tuple(weight.shape) for name, weight in state.items()}
    problems = {
        "missing (would be newly initialised)": sorted(wanted.keys() - found.keys()),
        "not of this architecture": sorted(found.keys() - wanted.keys()),
        "of another shape": sorted(
            name for name in wanted.keys() & found.keys() if wanted[name] != found[name]
        ),
    }
    if any(problems.values()):
        said = "; ".join(
            f"{len(names)} weights {kind}: {', '.join(names[:3])}{', ...' if names[3:] else ''}"
            for kind, names in problems.items()
            if names
        )
        raise CheckpointError(f"{source}: {said}")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of a model folder's config.json.

    Raises:
        CheckpointError: there is none, or it is no JSON object.
    """
    return _read_json(folder / CONFIG_FILE)


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the weights of a safetensors file and its metadata.

    Raises:
        CheckpointError: no such file, or not safetensors.
    """
    try:
        with safe_open(path, framework="pt") as content:
            metadata = content.metadata() or {}
        return load_file(path), metadata
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from error


def hash_files(folder: Path, names: tuple[str, ...] = (CONFIG_FILE, WEIGHTS_FILE)) -> str:
    """Return one SHA-256 (hex) over the named files of a model folder."""
    joined = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as content:
            joined.update(hashlib.file_digest(content, "sha256").digest())
    return joined.hexdigest()


def _write(folder: Path, model: EmiModel, card: ModelCard) -> None:
    state = {name: weight.detach().contiguous() for name, weight in model.state_dict().items()}
    # one entry: safetensors writes several in no fixed order, and equal models would differ in hash
    metadata = {"targets": json.dumps(model.config.targets)}
    save_file(state, folder / WEIGHTS_FILE, metadata=metadata)
    _write_json(folder / CONFIG_FILE, model.config.to_dict())
    (folder / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    (folder / README_FILE).write_text(card.to_markdown(), encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as content:
            os.fsync(content.fileno())


def _hash(folder: Path) -> str:
    """Return the hash of all that decides a score's row: intervals are part of it."""
    names: tuple[str, ...] = (CONFIG_FILE, WEIGHTS_FILE)
    if (folder / INTERVALS_FILE).is_file():
        names += (INTERVALS_FILE,)
    return hash_files(folder, names)


def _read_intervals(folder: Path, targets: tuple[str, ...]) -> Intervals | None:
    path = folder / INTERVALS_FILE
    if not path.is_file():
        return None
    intervals = Intervals.from_dict(_read_json(path))
    if intervals.targets != targets:
        raise CheckpointError(
            f"{path}: is of targets {list(intervals.targets)}, the model has {list(targets)}"
        )
    return intervals


def _read_training_clips(folder: Path) -> dict[str, tuple[str, ...]]:
    path = folder / TRAINING_CLIPS_FILE
    if not path.is_file():
        return {}
    return {split: tuple(hashes) for split, hashes in _read_json(path).items()}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and (not any(folder.iterdir()) or (folder / CARD_FILE).is_file())


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
