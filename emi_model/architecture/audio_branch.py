"""The audio branch: wav2vec2 turns waveforms into hidden states and VAD, the same in any batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from emi_model.architecture.branch import (
    Branch,
    BranchOutput,
    InputSpec,
    frame_mask,
    masked_mean,
)
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.registry import register_branch
from emi_model.arrays import Array
from emi_model.audio.waveform import as_float, normalise
from emi_model.errors import AudioError, ConfigError
from emi_model.modalities import AUDIO
from emi_model.targets import VAD_DIMENSIONS
from emi_model.units import SAMPLING_RATE


class Backbone(nn.Module):
    """A ``transformers.Wav2Vec2Model`` whose output does not depend on the batch.

    Layer-norm models (``feat_extract_norm="layer"``) get a mask where lengths differ. Group-norm
    models normalise over time, padding included, so only clips of one length share a call.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Build the backbone with fresh weights.

        Raises:
            ConfigError: arguments that no wav2vec2 model accepts.
        """
        super().__init__()
        config = wav2vec2_config(arguments)
        self.wav2vec2 = _wav2vec2(config)
        self.geometry = geometry_of(arguments)
        self.needs_equal_lengths = config.feat_extract_norm == "group"

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> Tensor:
        """Return hidden states (B, F, hidden) of waveforms (B, S), zero after each clip's end.

        Args:
            waveforms: float32, normalised per clip, zeros after its end.
            num_samples: int64 (B,), samples of each clip, at least one frame.
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
            waveforms, attention_mask=mask, mask_time_indices=self._empty_mask(waveforms)
        ).last_hidden_state
        return hidden

    def _empty_mask(self, waveforms: Tensor) -> Tensor | None:
        """Return a mask (B, F) of no frame for clips shorter than SpecAugment's mask; else None.

        The backbone then draws its own mask; for such short clips it would raise an error.
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


class VadHead(nn.Module):
    """Dropout, Linear, tanh, dropout, Linear: arousal, dominance, valence of a hidden state.

    The head of the public VAD model (Wagner et al., arXiv 2203.07378). It is not linear: its
    outputs' mean over frames is not its output for the mean frame.
    """

    def __init__(self, hidden_size: int, dropout: float) -> None:
        """Build the head for hidden states of ``hidden_size``."""
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(hidden_size, len(VAD_DIMENSIONS))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (..., 3), unbounded, of hidden states (..., hidden)."""
        dense = torch.tanh(self.dense(self.dropout(hidden)))
        vad: Tensor = self.out_proj(self.dropout(dense))
        return vad


@register_branch(AUDIO)
class AudioBranch(Branch):
    """The backbone, and a VAD head on every frame (Hallmen et al., arXiv 2403.11879).

    A frame's features are its hidden state and its VAD; a clip's vector is their mean. The extras
    are ``frame_vad`` (B, F, 3), zero after a clip's end, ``vad_mean`` (B, 3), its mean, and
    ``vad_of_mean`` (B, 3), the VAD of the mean hidden state; without a VAD head there are none.
    """

    def __init__(self, config: EmiConfig, arguments: Mapping[str, Any]) -> None:
        """Build the branch from the fields of the config, with fresh weights.

        Raises:
            ConfigError: ``arguments`` is not empty.
        """
        super().__init__()
        if arguments:
            raise ConfigError(f"branch 'audio' has {sorted(arguments)}, expected no arguments")
        self.backbone = Backbone(config.backbone)
        dropout = float(wav2vec2_config(config.backbone).final_dropout)
        self.vad_head = VadHead(config.hidden_size, dropout) if config.vad_head else None
        self.feature_size = config.feature_size
        self.hidden_size = config.hidden_size
        self.needs_equal_lengths = self.backbone.needs_equal_lengths
        self.hop_samples = self.backbone.geometry.hop_samples
        self.spec = InputSpec(
            min_length=self.backbone.geometry.min_samples,
            prepare=_normalised,
            rate=float(SAMPLING_RATE),
        )

    def forward(
        self, values: Tensor, lengths: Tensor, *, dtype: torch.dtype | None = None
    ) -> BranchOutput:
        """Encode B clips.

        Args:
            values: float32 (B, S), each clip normalised on its own samples, zeros after its end.
            lengths: int64 (B,), samples of each clip.
            dtype: type in which the backbone computes (autocast); the VAD head stays float32.

        Raises:
            AudioError: a clip of less than one frame.
        """
        num_frames = self.backbone.geometry.num_frames(lengths)
        if bool((num_frames < 1).any()):
            raise AudioError(
                f"found a clip of {int(lengths.min())} samples, expected at least "
                f"{self.spec.min_length} (one frame)"
            )
        with torch.autocast(values.device.type, dtype=dtype, enabled=dtype is not None):
            hidden = self.backbone(values, lengths)
        return self.heads(hidden.float(), num_frames)

    def heads(self, hidden: Tensor, num_frames: Tensor) -> BranchOutput:
        """Return the branch's output for the backbone's hidden states.

        Args:
            hidden: float32 (B, F, hidden), any values after a clip's end.
            num_frames: int64 (B,), frames of each clip, one or more.
        """
        if self.vad_head is None:
            return BranchOutput(hidden, num_frames, masked_mean(hidden, num_frames))
        mask = frame_mask(num_frames, hidden.shape[1])[..., None]
        frame_vad = self.vad_head(hidden) * mask
        extras = {
            "frame_vad": frame_vad,
            "vad_mean": masked_mean(frame_vad, num_frames),
            "vad_of_mean": self.vad_head(masked_mean(hidden, num_frames)),
        }
        features = torch.cat([hidden, frame_vad], dim=-1)
        return BranchOutput(features, num_frames, masked_mean(features, num_frames), extras)

    def freeze_first_layers(self, *, frozen: bool) -> None:
        """Freeze the convolutions, or unfreeze them, also after an earlier training."""
        wav2vec2: Any = self.backbone.wav2vec2
        wav2vec2.feature_extractor.requires_grad_(True)
        if frozen:  # not by requires_grad_: that would still differentiate the waveform
            wav2vec2.freeze_feature_encoder()


def _normalised(waveform: Array) -> Array:
    return normalise(as_float(waveform))


class FrameGeometry:
    """Frames of the conv stack: ``F = floor((S - kernel) / stride) + 1`` layer by layer."""

    def __init__(self, kernels: Sequence[int], strides: Sequence[int]) -> None:
        """Store the conv layers' kernels and strides, in samples of each layer's input."""
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
    """Return the frame geometry of the backbone that these arguments describe.

    Raises:
        ConfigError: arguments that no wav2vec2 model accepts.
    """
    config = wav2vec2_config(arguments)
    return FrameGeometry(config.conv_kernel, config.conv_stride)


def wav2vec2_config(arguments: Mapping[str, Any]) -> Wav2Vec2Config:
    """Return the checked ``Wav2Vec2Config`` of a backbone.

    Raises:
        ConfigError: arguments that no wav2vec2 model accepts, or an adapter (it changes frames).
    """
    try:
        config = Wav2Vec2Config(**arguments)
    except (TypeError, ValueError, StrictDataclassError) as error:
        message = " ".join(str(error).split())
        raise ConfigError(f"backbone config is no wav2vec2 config: {message}") from error
    if config.add_adapter:
        raise ConfigError("backbone has add_adapter, expected a wav2vec2 model without an adapter")
    return config


def _wav2vec2(config: Wav2Vec2Config) -> Wav2Vec2Model:
    try:
        return Wav2Vec2Model(config)
    except (KeyError, ValueError) as error:  # an unknown activation, heads that do not divide
        raise ConfigError(f"backbone config does not make a wav2vec2 model: {error}") from error
