"""Hidden states of a backbone that training leaves as it is: each clip is encoded once."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from emi_model.architecture.backbones.base import Backbone

MAX_KEPT_BYTES = 2 * 1024**3
"""Bound on what is kept: about 4,000 clips of 7 s at width 384, 1,500 at width 1,024."""


class KeptFrames:
    """Hidden states in this process's memory, by the content of the prepared waveform.

    Each clip is encoded alone, so that what is kept does not depend, not even in its last digit, on
    the batch that a clip was first in. Where no room is left, clips are encoded each time.
    """

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES) -> None:
        """Keep nothing yet."""
        self._kept: dict[bytes, Tensor] = {}
        self._free = max_bytes

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
                with torch.autocast(own.device.type, dtype=dtype, enabled=dtype is not None):
                    (encoded,) = backbone(own[None], num_samples.new_tensor([length]))
                frames = encoded.float().cpu()
                if frames.nbytes <= self._free:
                    self._kept[key] = frames
                    self._free -= frames.nbytes
            found.append(frames.to(waveforms.device))
        return pad_sequence(found, batch_first=True)
