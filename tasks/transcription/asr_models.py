"""ASR models on disk: found by reference, converted once for CTranslate2, hashed, loaded."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emi_model.checkpoints.metadata import CONFIG_FILE, hash_files, read_config
from emi_model.errors import CheckpointError, ConfigError, ModelNotFound
from tasks.transcription.conversion import PREPROCESSOR, TOKENIZER, WEIGHTS, converted
from tasks.transcription.settings import AsrSettings

TRANSCRIPTION = 1
"""Version of the rules by which speech becomes text: increased when the same clip, model and
settings give another transcript."""

_MISSING = (
    "found no faster-whisper, which turns speech into text: install it with "
    "pip install 'emi-workflow[text]'"
)


def asr_folder(reference: str) -> Path:
    """Return the folder in CTranslate2's layout of an ASR model.

    A Hugging Face Whisper model is converted at the first call and kept below EMI_HOME.

    Args:
        reference: as `AsrSettings.model`.

    Raises:
        ConfigError: faster-whisper is not installed.
        CheckpointError: there is no such model, or it is no Whisper model.
    """
    folder = Path(reference).expanduser()
    if not folder.is_dir():
        folder = _downloaded(reference)
    if (folder / WEIGHTS).is_file():
        if not (folder / TOKENIZER).is_file():
            raise CheckpointError(f"{folder}: found no {TOKENIZER}: add the model's own")
        return folder
    kind = read_config(folder).get("model_type")
    if kind != "whisper":
        raise CheckpointError(
            f"{reference}: found model_type {kind!r}, expected 'whisper' or a CTranslate2 folder "
            f"with {WEIGHTS}: give --asr a Whisper model"
        )
    return converted(folder)


def check_asr(reference: str) -> None:
    """Check that an ASR model is there, and the engine that runs it.

    Raises:
        ConfigError, CheckpointError: as `asr_folder`.
    """
    if find_spec("faster_whisper") is None:
        raise ConfigError(_MISSING)
    asr_folder(reference)


def asr_sha256(reference: str) -> str:
    """Return the SHA-256 (hex) over an ASR model's weights, config and tokenizer.

    Raises:
        ConfigError, CheckpointError: as `asr_folder`.
    """
    folder = asr_folder(reference)
    return _hashed(folder, (folder / WEIGHTS).stat().st_mtime_ns)


def asr_key(settings: AsrSettings) -> str:
    """Return 12 hex digits over all that decides a transcript: model, language, beam, rules.

    Raises:
        ConfigError, CheckpointError: as `asr_folder`.
    """
    decides = [TRANSCRIPTION, asr_sha256(settings.model), settings.language, settings.beam_size]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:12]


def asr_name(reference: str) -> str:
    """Return the short name of an ASR model: its folder's, or the id itself."""
    folder = Path(reference).expanduser()
    return folder.resolve().name if folder.is_dir() else reference


def asr_columns(settings: AsrSettings) -> dict[str, str]:
    """Return the columns of ``transcripts`` that name the ASR model and how it was used.

    Raises:
        ConfigError, CheckpointError: as `asr_folder`.
    """
    how = {
        "language": settings.language,
        "beam_size": settings.beam_size,
        "temperature": 0,
        "speech_filter": "silero",
        "version": TRANSCRIPTION,
    }
    return {
        "asr_model": asr_name(settings.model),
        "asr_sha256": asr_sha256(settings.model),
        "asr_key": asr_key(settings),
        "asr_settings": json.dumps(how),
    }


def load_whisper(folder: Path, *, threads: int, device: str, workers: int = 1) -> Any:
    """Return the ``faster_whisper.WhisperModel`` in a folder of CTranslate2's layout.

    Args:
        folder: of the model.
        threads: of the CPU for one question to the model.
        device: ``cpu``, ``cuda``, or ``auto``: the GPU where there is one.
        workers: questions that it answers at a time, from as many threads; they share its weights.

    Raises:
        ConfigError: faster-whisper is not installed, or there is no such device.
        CheckpointError: the folder's model cannot be loaded.
    """
    try:
        from ctranslate2 import get_cuda_device_count
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    has_gpu = get_cuda_device_count() > 0
    if device == "cuda" and not has_gpu:
        raise ConfigError("found no GPU that CTranslate2 can use, expected one: give device cpu")
    on_gpu = has_gpu and device != "cpu"
    try:
        model = WhisperModel(
            str(folder),
            device="cuda" if on_gpu else "cpu",
            compute_type="float16" if on_gpu else "int8",
            cpu_threads=threads,
            num_workers=workers,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(
            f"{folder}: cannot be loaded as a Whisper model of CTranslate2 ({error}): give another "
            "--asr"
        ) from error
    return model


@cache
def _hashed(folder: Path, _: int) -> str:
    vocabulary = sorted(path.name for path in folder.glob("vocabulary.*"))
    others = [name for name in (PREPROCESSOR,) if (folder / name).is_file()]
    return hash_files(folder, (WEIGHTS, CONFIG_FILE, TOKENIZER, *vocabulary, *others))


def _downloaded(reference: str) -> Path:
    try:
        from faster_whisper.utils import _MODELS as SIZES
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    hub_id = SIZES.get(reference, reference)
    if hub_id.count("/") != 1 or hub_id.startswith(("/", ".", "~")):
        raise ModelNotFound(
            f"{reference}: found no such folder, and it is neither a size of Whisper nor a hub id "
            "of the form owner/name: correct --asr"
        )
    patterns = ["*.json", "vocabulary.*", "merges.txt", WEIGHTS, "model*.safetensors"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        message = str(error).strip().partition("\n")[0]
        raise ModelNotFound(
            f"{reference}: found no such folder, and the hub did not give it ({message}): give "
            "--asr a local folder"
        ) from error
