"""Embeddings: what the model's audio branch makes of a clip, before the fusion scores it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from emi_model.architecture.model import EmiModel
from emi_model.arrays import Floats
from emi_model.audio.waveform import (
    Int16Waveform,
    Waveform,
    check_waveform,
)
from emi_model.audio.windows import tile
from emi_model.errors import AudioError


@dataclass(frozen=True)
class Embedding:
    """What the audio branch makes of one clip.

    Attributes:
        vector: float32 (D,), the mean of the frame features; of the first window it is the global
            vector that the fusion gets.
        frames: float32 (F, D), a row each 20 ms: hidden state, and arousal, dominance, valence
            where the model has a VAD head.
    """

    vector: Floats
    frames: Floats


class Embedder:
    """Embeds clips with the audio branch of one model, in float32, on one device.

    Attributes:
        device: CUDA if there is one.
        size: D, the length of a vector.
        min_samples: samples of the shortest clip, one frame.
    """

    def __init__(self, model: EmiModel, device: str | None = None) -> None:
        """Move the model to its device.

        Raises:
            ConfigError: the model has no audio branch.
        """
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._branch = model.audio.to(self.device).eval()
        self._window_samples = model.config.window_samples
        self.size = self._branch.feature_size
        self.min_samples = self._branch.spec.min_length

    def __call__(self, waveform: Int16Waveform | Waveform) -> Embedding:
        """Embed a clip (samples,), 16 kHz mono, int16 or float32, of any length.

        A clip that is longer than the model's window is cut into windows, as for its scores.

        Raises:
            AudioError: not one channel, not finite, or less than one frame.
        """
        check_waveform(waveform)
        if len(waveform) < self.min_samples:
            raise AudioError(
                f"found a clip of {len(waveform)} samples, expected at least {self.min_samples} "
                "(one frame)"
            )
        windows = tile(len(waveform), self._window_samples, self.min_samples)
        frames = np.concatenate([self._frames(waveform[start:end]) for start, end in windows])
        return Embedding(frames.mean(axis=0, dtype=np.float64).astype(np.float32), frames)

    @torch.inference_mode()
    def _frames(self, waveform: Int16Waveform | Waveform) -> Floats:
        prepared = torch.from_numpy(self._branch.spec.prepare(waveform))[None].to(self.device)
        lengths = torch.tensor([prepared.shape[1]], device=self.device)
        output = self._branch(prepared, lengths)
        # behind them may be padding that the backbone hears, see `LongestClip`
        found: Floats = output.features[0, : int(output.num_frames[0])].cpu().numpy()
        return found
