"""The folder of a language model, and the hash of what is in it."""

from __future__ import annotations

from pathlib import Path

from emi_model.checkpoints.metadata import CONFIG_FILE, hash_files, named
from emi_model.errors import ModelNotFound

LANGUAGE_FILES = ("*.json", "*.jinja", "*.model", "merges.txt", "vocab.*", "model*.safetensors")
"""Files of a model on the hub that are fetched: weights as safetensors alone, and no code."""


def language_folder(reference: str) -> Path:
    """Return the local folder of a language model, downloading from the hub if it names one.

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
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(reference, allow_patterns=list(LANGUAGE_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        message = str(error).strip().partition("\n")[0]
        raise ModelNotFound(
            f"{reference}: no such folder, and the hub did not give it ({message}): give --llm a "
            "local folder"
        ) from error


def language_sha256(folder: Path) -> str:
    """Return the SHA-256 (hex) over a language model's config, tokenizer and weights."""
    found = {file.name for pattern in LANGUAGE_FILES for file in folder.glob(pattern)}
    with named(folder):
        return hash_files(folder, tuple(sorted(found)))
