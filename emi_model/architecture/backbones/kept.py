"""Hidden states of a backbone that training leaves as it is: each clip is encoded once."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from emi_model.architecture.backbones.base import Backbone

MAX_KEPT_BYTES = 2 * 1024**3
"""Bound on what is kept: about 4,000 clips of 7 s at width 384, 1,500 at width 1,024."""


class KeptFrames:
    """Hidden states, by the content of the prepared waveform: in memory, and in files if wanted.

    Each clip is encoded alone, so that what is kept does not depend, not even in its last digit, on
    the batch that a clip was first in. Where no room is left, clips are encoded each time.
    """

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES, folder: Path | None = None) -> None:
        """Keep nothing yet.

        Args:
            max_bytes: bound on what is in memory.
            folder: of files that other trainings of this very backbone share; None: no files.
        """
        self._kept: dict[bytes, Tensor] = {}
        self._free = max_bytes
        self._folder = folder

    def __deepcopy__(self, _: object) -> KeptFrames:
        """Return itself: copies of the model have the same backbone, which does not change."""
        return self

    @torch.no_grad()
    def __call__(
        self,
        backbone: Backbone,
        waveforms: Tensor,
        num_samples: Tensor,
        dtype: torch.dtype | None,
    ) -> Tensor:
        """Return hidden states, float32 (B, F, hidden), zero after each clip's end.

        Args:
            backbone: in evaluation mode.
            waveforms: float32 (B, S), as the backbone's ``prepare`` returns them.
            num_samples: int64 (B,), samples of each clip.
            dtype: type in which the backbone computes (autocast); None: float32.
        """
        found = []
        for waveform, length in zip(waveforms, num_samples.tolist(), strict=True):
            own = waveform[:length]
            key = hashlib.sha256(own.cpu().numpy().tobytes() + str(dtype).encode()).digest()
            frames = self._kept.get(key)
            if frames is None:
                frames = self._read(key)
                if frames is None:
                    with torch.autocast(own.device.type, dtype=dtype, enabled=dtype is not None):
                        (encoded,) = backbone(own[None], num_samples.new_tensor([length]))
                    frames = encoded.float().cpu()
                    self._write(key, frames)
                if frames.nbytes <= self._free:
                    self._kept[key] = frames
                    self._free -= frames.nbytes
            found.append(frames.to(waveforms.device))
        return pad_sequence(found, batch_first=True)

    def _read(self, key: bytes) -> Tensor | None:
        if self._folder is None:
            return None
        try:
            return torch.from_numpy(np.load(self._file(self._folder, key), allow_pickle=False))
        except (OSError, ValueError, EOFError):  # absent, or cut short by a crash: encoded again
            return None

    def _write(self, key: bytes, frames: Tensor) -> None:
        """Write a file aside and rename it, so that it is whole; a full disk gets no more files."""
        if self._folder is None:
            return
        final = self._file(self._folder, key)
        aside = final.with_name(f".{final.stem}-{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                np.save(file, frames.numpy(), allow_pickle=False)
            aside.replace(final)
        except OSError:
            self._folder = None
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    @staticmethod
    def _file(folder: Path, key: bytes) -> Path:
        name = key.hex()
        return folder / name[:2] / f"{name}.npy"
