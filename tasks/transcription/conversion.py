"""A Whisper model in Hugging Face's layout, made once into one of CTranslate2's."""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path

from emi_model.checkpoints.metadata import read_config
from emi_model.errors import CheckpointError
from tasks.home import home
from tasks.storage.whole_folder import made_whole

ASR_CACHE = "asr"
"""Folder of converted models below EMI_HOME."""

WEIGHTS = "model.bin"
"""A folder with it is of CTranslate2's layout."""

TOKENIZER = "tokenizer.json"
PREPROCESSOR = "preprocessor_config.json"


def converted(source: Path) -> Path:
    """Return the folder in CTranslate2's layout of a Hugging Face Whisper folder.

    The first call converts it and keeps it below EMI_HOME, half as large; the next ones find it.

    Raises:
        CheckpointError: it lacks a file, or cannot be converted or kept.
    """
    target = home() / ASR_CACHE / f"{source.resolve().name}-{_listing_hash(source)}"
    try:
        return made_whole(target, WEIGHTS, partial(_convert, source))
    except OSError as error:
        raise CheckpointError(
            f"{source}: cannot be converted for CTranslate2 ({error}): complete the folder, make "
            "room below EMI_HOME, or give --asr a converted model"
        ) from error


def _convert(source: Path, target: Path) -> None:
    from ctranslate2.converters import TransformersConverter

    try:
        TransformersConverter(str(source)).convert(str(target), quantization="float16")
    except (ValueError, RuntimeError, KeyError, AttributeError, NotImplementedError) as error:
        raise CheckpointError(
            f"{source}: cannot be converted for CTranslate2 ({error}): give --asr another model"
        ) from error
    if (source / TOKENIZER).is_file():
        shutil.copyfile(source / TOKENIZER, target / TOKENIZER)
    else:
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(str(source)).backend_tokenizer.save(str(target / TOKENIZER))
    if (source / PREPROCESSOR).is_file():
        shutil.copyfile(source / PREPROCESSOR, target / PREPROCESSOR)
    else:
        features = {"feature_size": read_config(source).get("num_mel_bins", 80)}
        (target / PREPROCESSOR).write_text(json.dumps(features), encoding="utf-8")


def _listing_hash(folder: Path) -> str:
    """Return 12 hex digits over the names, sizes and times of a folder's files."""
    listed = sorted((path.name, path.stat()) for path in folder.iterdir() if path.is_file())
    facts = [(name, found.st_size, found.st_mtime_ns) for name, found in listed]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
