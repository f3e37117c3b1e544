"""The files of the audio cache: written aside, synced and renamed, so that each is whole."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from emi_model.errors import CorpusError
from emi_model.units import SAMPLING_RATE
from tasks.extraction.registry import NAMED
from tasks.storage.local import place
from tasks.threads import NUMPY_HEADERS

_NAME_DIGITS = 16


def cache_key(content_sha256: str, clip_id: str) -> str:
    """Return what a clip's inputs are found by: the hash of its content, then that of its name."""
    return f"{content_sha256}-{name_hash(clip_id)}"


def name_hash(clip_id: str) -> str:
    """Return the hash of a clip's name that files of named inputs end in."""
    return hashlib.sha256(clip_id.encode(errors="surrogateescape")).hexdigest()[:_NAME_DIGITS]


def stem_in(key: str, folder: str) -> str:
    """Return a key as files of a folder are called: without the name, if inputs are by content."""
    return key if NAMED in folder else key.partition("-")[0]


def write_values(final: Path, values: NDArray[Any] | None) -> None:
    """Write values as FLAC or NumPy's format, by the file's suffix; None: an empty file.

    Raises:
        CorpusError: the cache cannot be written.
    """

    def save(file: BinaryIO) -> None:
        if values is not None and final.suffix == ".flac":
            soundfile.write(file, values, SAMPLING_RATE, format="FLAC", subtype="PCM_16")
        elif values is not None:
            np.save(file, values, allow_pickle=False)

    _write(final, save)


def write_facts(final: Path, facts: Mapping[str, Any]) -> None:
    """Write facts as JSON.

    Raises:
        CorpusError: the cache cannot be written.
    """
    content = json.dumps(facts).encode()
    _write(final, lambda file: file.write(content))


def read_values(file: Path) -> NDArray[Any]:
    """Return what `write_values` wrote in NumPy's format.

    Raises:
        CorpusError: it is not there, or damaged.
    """
    try:
        content = io.BytesIO(file.read_bytes())
        with NUMPY_HEADERS:
            values: NDArray[Any] = np.load(content, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CorpusError(f"{file}: cannot be read ({error}): {advice(file)}") from error
    return values


def read_facts(file: Path) -> dict[str, Any]:
    """Return what `write_facts` wrote; empty if there is no such file.

    Raises:
        CorpusError: it is damaged.
    """
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CorpusError(f"{file}: cannot be read ({error}): {advice(file)}") from error
    return found


def advice(file: Path) -> str:
    """Return what to do about a file that cannot be read."""
    return "remove it and run again" if file.exists() else "the cache must be filled"


def _write(final: Path, save: Callable[[BinaryIO], object]) -> None:
    aside = final.with_name(f".{final.stem}-{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            save(file)
            file.flush()
            os.fsync(file.fileno())
        place(aside, final)
    except (OSError, soundfile.LibsndfileError) as error:
        raise CorpusError(
            f"{final}: the audio cache cannot be written ({error}): make room, or set EMI_HOME "
            "to another folder"
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
