"""Finds the model that ``--model`` names, without its weights, hence without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emi_model.architecture.config import MODEL_TYPE
from emi_model.checkpoints.metadata import (
    CONFIG_FILE,
    ModelMetadata,
    checkpoint_metadata,
    read_config,
)
from emi_model.checkpoints.public_vad import vad_metadata
from emi_model.errors import ModelNotFound

HUB_FILES = (
    *("config.json", "*.safetensors", "pytorch_model.bin", "card.json", "README.md"),
    "*.safetensors.index.json",
    *("intervals.json", "training_clips.json"),
    *("*tokenizer*.json", "vocab.*", "merges.txt", "special_tokens_map.json", "*.model"),
    *("preprocessor_config.json", "model.bin"),
)
"""Files of a model on the hub that are fetched; patterns match in folders, too."""


def read_metadata(reference: str) -> ModelMetadata:
    """Read the metadata of the model that a reference names.

    Args:
        reference: as `emi_model.checkpoints.load.load_model` takes it.

    Raises:
        ModelNotFound: neither a folder nor available from the hub.
        CheckpointError: the folder exists, but holds no usable model.
    """
    folder = resolve(reference)
    if is_ours(folder):
        return checkpoint_metadata(folder)
    return vad_metadata(folder, name_of(reference, folder))


def is_ours(folder: Path) -> bool:
    """Return whether a folder is a checkpoint of this project, not in the public VAD layout."""
    return read_config(folder).get("model_type") == MODEL_TYPE


def name_of(reference: str, folder: Path) -> str:
    """Return the short name of the model that a reference names and that is in a folder."""
    return folder.resolve().name if Path(reference).is_dir() else reference


def resolve(
    reference: str, files: Sequence[str] = HUB_FILES, advice: str = "name a local model folder"
) -> Path:
    """Return the local folder of a model reference, downloading from the hub if it names one.

    Args:
        reference: a folder, or a hub id of the form owner/name.
        files: patterns of those that are fetched.
        advice: what to do where the hub does not give them.

    Raises:
        ModelNotFound: neither a folder nor available from the hub.
    """
    folder = Path(reference)
    if (folder / CONFIG_FILE).is_file():
        return folder
    if folder.exists():
        raise ModelNotFound(f"{reference}: exists, but holds no {CONFIG_FILE}: not a model folder")
    if reference.count("/") != 1 or reference.startswith(("/", ".")):
        raise ModelNotFound(f"{reference}: no such folder, and no hub id of the form owner/name")
    # imported here: a local folder needs no hub client
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(reference, allow_patterns=list(files)))
    except Exception as error:  # proxies, portals and broken connections have many kinds of errors
        message = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelNotFound(
            f"{reference}: no such folder, and the hub did not give it ({message}): {advice}"
        ) from error
