"""Checkpoints: writing models to folders and loading them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.model import EmiModel
from emi_model.checkpoints.card import ModelCard
from emi_model.checkpoints.metadata import (
    CARD_FILE,
    CONFIG_FILE,
    INTERVALS_FILE,
    README_FILE,
    TRAINING_CLIPS_FILE,
    WEIGHTS_FILE,
    ModelMetadata,
    checkpoint_metadata,
    named,
)
from emi_model.errors import CheckpointError
from emi_model.metrics.conformal import Intervals


@dataclass(frozen=True, kw_only=True)
class LoadedModel(ModelMetadata):
    """A model with its metadata.

    Attributes:
        model: the model, in evaluation mode.
    """

    model: EmiModel

    @classmethod
    def of(cls, metadata: ModelMetadata, model: EmiModel) -> LoadedModel:
        """Return a model with metadata that were read before."""
        return cls(model=model, **vars(metadata))


def save_checkpoint(
    folder: Path,
    model: EmiModel,
    card: ModelCard,
    *,
    intervals: Intervals | None = None,
    training_clips: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write a checkpoint to ``folder``, which never holds an incomplete one.

    Args:
        folder: new, empty, or a checkpoint that is replaced.
        model: the model.
        card: its model card.
        intervals: intervals around its scores.
        training_clips: SHA-256 (hex) of the files of its clips, by split.

    Raises:
        CheckpointError: the card names other targets than the model, or the folder holds something
            other than a checkpoint.
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
        if folder.exists():  # moved as a whole: to delete it in place could leave half of it
            folder.rename(aside / "old")
        (aside / "new").rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load_checkpoint(folder: Path, metadata: ModelMetadata | None = None) -> LoadedModel:
    """Load a checkpoint that `save_checkpoint` wrote, and its metadata unless they are given.

    Raises:
        CheckpointError: a file is missing or damaged, weights are missing (none is ever newly
            initialised), superfluous or of another shape, or config, card and weights have
            different targets or orders of them.
    """
    metadata = metadata or checkpoint_metadata(folder)
    return LoadedModel.of(
        metadata, build(metadata.config, read_safetensors(folder / WEIGHTS_FILE), folder)
    )


def build(
    config: EmiConfig,
    state: Mapping[str, Tensor],
    source: Path,
    *,
    files: Mapping[str, Path] | None = None,
) -> EmiModel:
    """Return the model of a config with exactly these weights.

    Args:
        config: of the model.
        state: its weights by name.
        source: where they come from.
        files: folders of branches' own files, by modality, that do not lie beside the weights.

    Raises:
        CheckpointError: a weight is missing, superfluous or of another shape.
    """
    # on "meta", without initialising weights, which takes longer than reading them
    folder = source if source.is_dir() else source.parent
    with named(folder / CONFIG_FILE), torch.device("meta"):
        model = EmiModel(config)
    check_weights(model.state_dict(), state, source)
    # copies: safetensors maps the file into memory, and another process may write to it
    own = {name: weight.to(torch.float32, copy=True) for name, weight in state.items()}
    model.load_state_dict(own, assign=True)
    _fill_buffers(model)
    for modality, branch in model.each_branch().items():
        branch.read_files((files or {}).get(modality, folder / modality))
    return model.eval()


def _fill_buffers(model: EmiModel) -> None:
    """Compute the buffers of encoders that are in no file: tables of positions."""
    if not any(buffer.is_meta for buffer in model.buffers()):
        return
    from transformers.initialization import no_init_weights

    with no_init_weights():
        whole = dict(EmiModel(model.config).named_modules())
    for name, module in model.named_modules():
        for own, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                module.register_buffer(own, getattr(whole[name], own), persistent=False)


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
        message = "; ".join(
            f"{len(names)} weights {kind}: {', '.join(names[:3])}{', ...' if names[3:] else ''}"
            for kind, names in problems.items()
            if names
        )
        raise CheckpointError(f"{source}: {message}")


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the weights of a safetensors file.

    Raises:
        CheckpointError: no such file, or not safetensors.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from error


def _write(folder: Path, model: EmiModel, card: ModelCard) -> None:
    state = {name: weight.detach().contiguous() for name, weight in model.state_dict().items()}
    # one entry: safetensors writes several in random order, so equal models would differ in hash
    metadata = {"targets": json.dumps(model.config.targets)}
    save_file(state, folder / WEIGHTS_FILE, metadata=metadata)
    _write_json(folder / CONFIG_FILE, model.config.to_dict())
    for modality, branch in model.each_branch().items():
        branch.write_files(folder / modality)
    (folder / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    (folder / README_FILE).write_text(card.to_markdown(), encoding="utf-8")
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as content:
                os.fsync(content.fileno())


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and (not any(folder.iterdir()) or (folder / CARD_FILE).is_file())
