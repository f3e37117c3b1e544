"""The wav2vec2 backbone: waveforms to hidden states, the same in every batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from emi_model.errors import ConfigError


class Backbone(nn.Module):
    """A ``transformers.Wav2Vec2Model`` whose output does not depend on the batch.

    Layer-norm models (``feat_extract_norm="layer"``) get a mask where lengths differ. Group-norm
    models normalise over time, padding included, so clips of one length go together.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Build the backbone with fresh weights.

        Raises:
            ConfigError: arguments that no wav2vec2 model takes.
        """
        super().__init__()
        config = wav2vec2_config(arguments)
        self.wav2vec2 = _wav2vec2(config)
        self.geometry = geometry_of(arguments)
        self.needs_equal_lengths = config.feat_extract_norm == "group"

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """Return hidden states (B, F, hidden) of waveforms (B, S), zero behind each clip's end.

        Args:
            waveforms: float32, normalised per clip, zeros behind its end.
            num_samples: int64 (B,), samples of each clip, at least one frame's.
        """
        longest = int(num_samples.max())
        waveforms = waveforms[:, :longest]
        if bool((num_samples == longest).all()):
            return self._encode(waveforms, None)
        if self.needs_equal_lengths:
            return self._encode_by_length(waveforms, num_samples)
        mask = torch.arange(longest, device=waveforms.device) < num_samples[:, None]
        hidden = self._encode(waveforms, mask.long())
        num_frames = self.geometry.num_frames(num_samples)
        return hidden * frame_mask(num_frames, hidden.shape[1])[..., None]

    def _encode(self, waveforms: Tensor, mask: Tensor | None) -> Tensor:
        hidden: Tensor = self.wav2vec2(
            waveforms, attention_mask=mask, mask_time_indices=self._spared(waveforms)
        ).last_hidden_state
        return hidden

    def _spared(self, waveforms: Tensor) -> Tensor | None:
        """Return an empty mask (B, F) where SpecAugment's would be longer than the clips: an error.

        None leaves masking to the backbone.
        """
        config = self.wav2vec2.config
        masks = self.training and config.apply_spec_augment and config.mask_time_prob > 0
        num_frames = int(self.geometry.num_frames(torch.tensor(waveforms.shape[1])))
        if not masks or num_frames >= config.mask_time_length:
            return None
        return waveforms.new_zeros((len(waveforms), num_frames), dtype=torch.bool)

    def _encode_by_length(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        lengths: list[int] = torch.unique(num_samples).tolist()
        parts, rows = [], []
        for length in lengths:
            chosen = torch.nonzero(num_samples == length).flatten()
            parts.append(self._encode(waveforms[chosen, :length], None))
            rows.append(chosen)
        num_frames = max(part.shape[1] for part in parts)
        padded = [nn.functional.pad(part, (0, 0, 0, num_frames - part.shape[1])) for part in parts]
        return torch.cat(padded)[torch.argsort(torch.cat(rows))]


class FrameGeometry:
    """Frames of the conv stack: ``F = floor((S - kernel) / stride) + 1`` layer by layer."""

    def __init__(self, kernels: Sequence[int], strides: Sequence[int]) -> None:
        """Take the conv layers' kernels and strides, in samples of each layer's input."""
        self.layers = tuple(zip(kernels, strides, strict=True))

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """Return the frames of clips of ``num_samples``, int64 of the same shape, 0 or more."""
        for kernel, stride in self.layers:
            num_samples = torch.div(num_samples - kernel, stride, rounding_mode="floor") + 1
            num_samples = num_samples.clamp(min=0)
        return num_samples

    @property
    def min_samples(self) -> int:
        """Samples of one frame, its receptive field: 400 for the standard stack."""
        samples = 1
        for kernel, stride in reversed(self.layers):
            samples = (samples - 1) * stride + kernel
        return samples

    @property
    def hop_samples(self) -> int:
        """Samples from one frame's start to the next: 320 for the standard stack."""
        hop = 1
        for _, stride in self.layers:
            hop *= stride
        return hop


def geometry_of(arguments: Mapping[str, Any]) -> FrameGeometry:
    """Return the frames of the backbone that these arguments make.

    Raises:
        ConfigError: arguments that no wav2vec2 model takes.
    """
    config = wav2vec2_config(arguments)
    return FrameGeometry(config.conv_kernel, config.conv_stride)


def frame_mask(num_frames: Tensor, longest: int) -> Tensor:
    """Return bool (B, longest), true on each clip's own frames."""
    return torch.arange(longest, device=num_frames.device) < num_frames[:, None]


def wav2vec2_config(arguments: Mapping[str, Any]) -> Wav2Vec2Config:
    """Return the checked ``Wav2Vec2Config`` of a backbone.

    Raises:
        ConfigError: arguments that no wav2vec2 model takes, or an adapter (it changes the frames).
    """
    try:
        config = Wav2Vec2Config(**arguments)
    except (TypeError, ValueError, StrictDataclassError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"backbone config is no wav2vec2 config: {said}") from error
    if config.add_adapter:
        raise ConfigError("backbone has add_adapter, expected a wav2vec2 model without an adapter")
    return config


def _wav2vec2(config: Wav2Vec2Config) -> Wav2Vec2Model:
    try:
        return Wav2Vec2Model(config)
    except (KeyError, ValueError) as error:  # an unknown activation, heads that do not divide
        raise ConfigError(f"backbone config does not make a wav2vec2 model: {error}") from error
