"""The folder of a language model, and the hash of what is in it."""

from __future__ import annotations

from pathlib import Path

from emi_model.checkpoints.metadata import hash_files, named
from emi_model.checkpoints.resolve import resolve

LANGUAGE_FILES = ("*.json", "*.jinja", "*.model", "merges.txt", "vocab.*", "model*.safetensors")
"""Files of a model on the hub that are fetched: weights as safetensors alone, and no code."""


def language_folder(reference: str) -> Path:
    """Return the local folder of a language model, downloading from the hub if it names one.

    Raises:
        ModelNotFound: neither a folder nor available from the hub.
    """
    return resolve(reference, LANGUAGE_FILES, "give --llm a local folder")


def language_sha256(folder: Path) -> str:
    """Return the SHA-256 (hex) over a language model's config, tokenizer and weights."""
    found = {file.name for pattern in LANGUAGE_FILES for file in folder.glob(pattern)}
    with named(folder):
        return hash_files(folder, tuple(sorted(found)))
