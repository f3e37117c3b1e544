"""The backbone for scoring: clips laid end to end, so that no padding is computed.

`emi_model.architecture.audio_branch` pads clips to one length and masks; here the frames of all
clips form one matrix. Convolutions and linear layers get one long stream, cut into pieces of a
fixed size that stay in the processor's caches; only attention and the positional convolution need
to know where a clip ends. Frames are contiguous, so a convolution of stride s is a matrix product
without a copy: s frames side by side are a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from emi_model.architecture.backbones.base import Backbone
from emi_model.architecture.backbones.wav2vec2 import Wav2Vec2Backbone
from emi_model.engine.encoder import Layer
from emi_model.engine.layers import Conv, Linear, Norm, Positional, spaced

CHUNK_FRAMES = {"cpu": 100, "cuda": 6_400}
"""Frames (2 s, 128 s) that go through the convolutions at once: on a CPU the output of the first,
3 MB a second in bfloat16, is read again before it leaves the caches; a GPU needs large products."""


def fits(backbone: Backbone) -> TypeGuard[Wav2Vec2Backbone]:
    """Return whether a backbone can run on clips laid end to end: no norm of it is over time.

    Of the families only wav2vec2 can; others run as they are.
    """
    if not isinstance(backbone, Wav2Vec2Backbone) or not backbone.normalises:
        return False
    config = backbone.wav2vec2.config
    return config.feat_extract_norm == "layer" and getattr(config, "adapter_attn_dim", None) is None


class Engine:
    """A backbone's weights, laid out for scoring on one device in one type.

    Residual sums and layer normalisation are float32 in every type.
    """

    def __init__(
        self, backbone: Wav2Vec2Backbone, dtype: torch.dtype = torch.float32, *, int8: bool = False
    ) -> None:
        """Convert the weights of a backbone that `fits`; it must not change any more.

        Args:
            backbone: in evaluation mode, on its device.
            dtype: of the matrix products.
            int8: compute those of the encoder's linear layers in int8; only on a CPU.
        """
        wav2vec2 = backbone.wav2vec2
        self._geometry = backbone.geometry
        self._dtype = dtype
        self._device = next(backbone.parameters()).device
        self._chunk_frames = CHUNK_FRAMES[self._device.type]
        self._convs = [Conv.of(layer, dtype) for layer in wav2vec2.feature_extractor.conv_layers]
        projection = wav2vec2.feature_projection
        self._projection_norm = Norm.of(projection.layer_norm)
        self._projection = Linear.of(projection.projection, dtype)
        encoder = wav2vec2.encoder
        self._positional = Positional.of(encoder.pos_conv_embed, dtype)
        self._norm = Norm.of(encoder.layer_norm)
        self._norm_first = not wav2vec2.config.do_stable_layer_norm
        self.layers = [Layer.of(layer, dtype, int8=int8) for layer in encoder.layers]

    def num_frames(self, waveforms: Sequence[Tensor]) -> list[int]:
        """Return the frames of each waveform."""
        samples = torch.tensor([len(waveform) for waveform in waveforms])
        frames: list[int] = self._geometry.num_frames(samples).tolist()
        return frames

    def __call__(self, waveforms: Sequence[Tensor]) -> Tensor:
        """Return the hidden states, float32 (sum of F, hidden), of waveforms, float32 (samples,).

        Args:
            waveforms: normalised, each at least one frame long, on the engine's device.
        """
        num_frames = self.num_frames(waveforms)
        return self._encode(self._features(waveforms, num_frames), num_frames)

    def _features(self, waveforms: Sequence[Tensor], num_frames: Sequence[int]) -> Tensor:
        """Return the conv stack's output (sum of F, C), float32, projected to the hidden size."""
        hop, reach = self._geometry.hop_samples, self._geometry.min_samples
        between = math.ceil(max(0, reach - hop) / hop)  # frames that would mix two clips
        total = sum(num_frames) + between * len(num_frames)
        whole = total
        if self._device.type == "cpu":
            # All pieces have one shape: frames after the stream's end are computed and dropped.
            whole = math.ceil(total / self._chunk_frames) * self._chunk_frames
        rest = (whole - total) * hop + reach
        silence = waveforms[0].new_zeros(max(rest, (between + 1) * hop))
        laid = list[Tensor]()
        for waveform, frames in zip(waveforms, num_frames, strict=True):
            used = (frames - 1) * hop + reach
            laid += [waveform[:used], silence[: (frames + between) * hop - used]]
        stream = torch.cat([*laid, silence[:rest]])
        pieces = []
        for start in range(0, whole, self._chunk_frames):
            end = min(start + self._chunk_frames, whole)
            samples = stream[start * hop : (end - 1) * hop + reach]
            pieces.append(self._chunk(samples.to(self._dtype)))
        return torch.cat(pieces)[spaced(num_frames, between, stream.device)]

    def _chunk(self, samples: Tensor) -> Tensor:
        frames = samples[:, None]
        for conv in self._convs:
            frames = conv(frames)
        normed = self._projection_norm(frames.float())
        return self._projection(normed).float()

    def _encode(self, features: Tensor, num_frames: Sequence[int]) -> Tensor:
        hidden = features + self._positional(features.to(self._dtype), num_frames)
        if self._norm_first:
            hidden = self._norm(hidden)
        clips = self.layers[0].clips(num_frames, self._device)
        for layer in self.layers:
            layer(hidden, clips)
        return hidden if self._norm_first else self._norm(hidden)
