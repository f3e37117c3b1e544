"""The state of a training between two epochs, in one file: all that is needed to continue."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError

from emi_model.architecture.config import EmiConfig
from emi_model.checkpoints.foreign import DAMAGED
from emi_model.errors import TrainingError
from emi_model.training.clips import TrainingClip
from emi_model.training.config import TrainConfig

STATE_FILE = "training.pt"

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of the system that mean: no room for more, on the disk or for this user."""


class Journal(Protocol):
    """Where a training keeps its state, so that one that was killed can continue."""

    def last(self) -> Path | None:
        """Return the file that was kept last; None at the start."""

    def keep(self, epoch: int, write: Callable[[Path], None]) -> None:
        """Keep the state after an epoch; ``write`` writes it to a file.

        Every process of a group calls this; one of them has to write.
        """


class FolderJournal:
    """A journal in a folder on this machine."""

    def __init__(self, folder: Path) -> None:
        """Take a folder that no other training uses; it is made on demand."""
        self._folder = folder

    def last(self) -> Path | None:
        """Return the file that was kept last; None at the start."""
        path = self._folder / STATE_FILE
        return path if path.is_file() else None

    def keep(self, epoch: int, write: Callable[[Path], None]) -> None:
        """Replace the state of the epoch before, atomically."""
        with writing("state", self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f".{STATE_FILE}-{os.getpid()}"
        try:
            write(aside)
            aside.replace(self._folder / STATE_FILE)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def writing(what: str, folder: Path) -> Iterator[None]:
    """Say in one line what to do where files cannot be written, as on a full disk.

    Args:
        what: is written, for the message.
        folder: where.

    Raises:
        TrainingError: the system refused it.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        number = refusal.errno if isinstance(refusal, OSError) else None
        cause = os.strerror(number) if number else str(refusal).strip().partition("\n")[0]
        remedy = "free space on this disk" if number in {*DISK_FULL, None} else "let it be writable"
        raise TrainingError(
            f"{folder}: the {what} cannot be written ({cause}): {remedy}, the same command goes on"
        ) from error


def _refusal(error: BaseException | None) -> OSError | SafetensorError | None:
    """Return the system's refusal that led to an error; torch raises another error over it."""
    while error is not None and not isinstance(error, (OSError, SafetensorError)):
        error = error.__cause__ or error.__context__
    return error


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors, numbers, texts, lists and dicts of them, synced to the disk.

    Raises:
        TrainingError: it cannot be written.
    """
    with writing("state", path.parent), path.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def read_state(
    path: Path, fingerprint: str, *, within: str | None = None, inputs: str | None = None
) -> dict[str, Any]:
    """Read what `write_state` wrote, on the CPU.

    Args:
        path: the file.
        fingerprint: that it has to have.
        within: the entry that has the fingerprint; None: the state itself.
        inputs: hash of the clips' inputs, `inputs_id_of`; a state that an earlier version wrote
            has none, and may go on.

    Raises:
        TrainingError: it is damaged, of another training, or of other inputs.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        cause = str(error).strip().partition("\n")[0] or type(error).__name__
        raise TrainingError(f"{path}: cannot be read ({cause}): remove it to begin anew") from error
    owner: Any = state.get(within) if within and isinstance(state, dict) else state
    if not isinstance(owner, dict) or owner.get("fingerprint") != fingerprint:
        raise TrainingError(
            f"{path}: is of a training with other clips, labels or settings: name another run, or "
            "remove it to begin anew"
        )
    if inputs is not None and state.get("inputs", inputs) != inputs:
        raise TrainingError(
            f"{path}: is of a training whose clips had other inputs, such as other features or "
            "another ASR model's text: name another run, or remove it to begin anew"
        )
    return state


def fingerprint_of(
    model: EmiConfig,
    config: TrainConfig,
    train_set: Sequence[TrainingClip],
    valid_set: Sequence[TrainingClip],
) -> str:
    """Return a hash (hex) of what has to be equal for a training to continue."""
    settings = {"model": model.to_dict(), "train": config.to_dict(), "num_train": len(train_set)}
    found = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for clip in chain(train_set, valid_set):
        found.update(f"{clip.clip_id}\0{clip.num_samples}\0".encode())
        found.update(clip.emi.tobytes())
        found.update(b"" if clip.vad is None else clip.vad.tobytes())
        if clip.num_raters is not None:
            found.update(f"{clip.num_raters} raters".encode())
    return found.hexdigest()


def inputs_id_of(clips: Iterable[TrainingClip]) -> str:
    """Return a hash (hex) of what the inputs of clips were made of."""
    found = hashlib.sha256()
    for clip in clips:
        found.update(f"{clip.inputs_id}\0".encode())
    return found.hexdigest()
