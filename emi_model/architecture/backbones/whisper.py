"""Whisper's encoder (Radford et al., arXiv 2212.04356), over a clip's own frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder, _compute_mask_indices

from emi_model.architecture.backbones.base import Backbone, FrameGeometry, built
from emi_model.architecture.backbones.filterbanks import HOP, whisper_bands
from emi_model.architecture.branch import frame_mask
from emi_model.arrays import Array
from emi_model.audio.waveform import as_float
from emi_model.errors import ConfigError
from emi_model.units import SAMPLING_RATE

_STEPS = 2
"""Steps of the log-mel bands, 10 ms each, that the second convolution makes one frame of."""

SILENCE_SECONDS = 2.0
"""Silence behind each clip of a published model: its encoder was trained with some there always.

On EmoDB, ridge regression on mean and deviation of tiny.en's frames gives 0.647 with it, 0.619
without any (RESULTS.md).
"""

_OF_ENCODER = (
    *("d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins"),
    *("max_source_positions", "activation_function", "dropout", "attention_dropout"),
    *("activation_dropout", "encoder_layerdrop", "apply_spec_augment", "mask_time_prob"),
    *("mask_time_length", "mask_feature_prob", "mask_feature_length"),
)


class WhisperBackbone(Backbone):
    """The encoder of a Whisper model without its padding to 30 s.

    Whisper encodes windows of 30 s, clips followed by silence. Here the convolutions see the clip
    followed by silence as there, so frames enter the encoder with the same values; but frames
    attend only to the clip's own and to ``silence_seconds`` behind it, the same for every clip. A
    clip of 7 s costs less than a third of a window. A clip of 30 s gives Whisper's own output.
    """

    model_type = "whisper"
    config_class = WhisperConfig
    prefix = "whisper"
    has_mask_embedding = False

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Build the encoder with fresh weights.

        Raises:
            ConfigError: arguments that no Whisper model accepts.
        """
        super().__init__()
        self.config = self.checked_config(arguments)
        self.whisper: Any = built(WhisperEncoder, self.config)
        self.geometry = self.geometry_of(self.config)
        self.hidden_size = self.config.d_model
        self.head_dropout = float(self.config.dropout)
        self._silence = round(self._silence_seconds(arguments) * SAMPLING_RATE / (_STEPS * HOP))
        self.max_samples = self.config.max_source_positions * _STEPS * HOP

    @classmethod
    def arguments_of(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that concern the encoder, and `SILENCE_SECONDS`."""
        found = {name: config[name] for name in ("model_type", *_OF_ENCODER) if name in config}
        return {**found, "silence_seconds": SILENCE_SECONDS}

    @classmethod
    def weights_of(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoder's weights, their names without ``model.encoder.``."""
        found = {name.removeprefix("model."): weight for name, weight in state.items()}
        return {
            name.removeprefix("encoder."): weight
            for name, weight in found.items()
            if name.startswith("encoder.")
        }

    @classmethod
    def geometry_of(cls, config: Any) -> FrameGeometry:
        """Return the frames: 20 ms each, without overlap; a rest under 20 ms has none."""
        return FrameGeometry([_STEPS * HOP], [_STEPS * HOP])

    def prepare(self, waveform: Array) -> Array:
        """Return the waveform as it is; its bands are scaled by the loudest one."""
        return as_float(waveform)

    def encode(self, waveforms: Tensor, num_samples: Tensor | None) -> Tensor:
        """Return hidden states (B, F, hidden)."""
        encoder, most = self.whisper, self.config.max_source_positions
        longest = waveforms.shape[1] // (_STEPS * HOP)
        width = min(longest + self._silence, most)
        # one more step: the last frame's convolution reaches into the silence behind it
        steps = min(_STEPS * width + 1, _STEPS * most)
        bands = self._masked(whisper_bands(waveforms, self.config.num_mel_bins, steps))
        hidden = nn.functional.gelu(encoder.conv1(bands))
        hidden = nn.functional.gelu(encoder.conv2(hidden))[..., :width].transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[:width]
        hidden = nn.functional.dropout(hidden, self.config.dropout, self.training)
        mask = None
        if num_samples is not None:
            num_frames = self.geometry.num_frames(num_samples) + self._silence
            mask = frame_mask(num_frames, width)[:, None, None]
        for layer in encoder.layers:
            if self.training and float(torch.rand([])) < self.config.encoder_layerdrop:
                continue
            hidden = layer(hidden, mask)
        encoded: Tensor = encoder.layer_norm(hidden[:, :longest])
        return encoded

    def freeze_first_layers(self, *, frozen: bool) -> None:
        """Freeze the convolutions, or unfreeze them."""
        self.whisper.conv1.requires_grad_(not frozen)
        self.whisper.conv2.requires_grad_(not frozen)

    def _silence_seconds(self, arguments: Mapping[str, Any]) -> float:
        given = arguments.get("silence_seconds", 0.0)
        if type(given) not in (int, float) or not 0 <= given < math.inf:
            raise ConfigError(f"backbone.silence_seconds is {given!r}, expected seconds, 0 or more")
        return float(given)

    def _masked(self, bands: Tensor) -> Tensor:
        """Return bands (B, K, M) with SpecAugment's stretches set to 0, in training."""
        config = self.config
        if not (self.training and config.apply_spec_augment):
            return bands
        num_clips, num_bands, num_steps = bands.shape
        for size, share, length, fewest, axis in (
            (num_steps, config.mask_time_prob, config.mask_time_length, 2, 1),
            (num_bands, config.mask_feature_prob, config.mask_feature_length, 0, 2),
        ):
            if share > 0 and length <= size:
                found = _compute_mask_indices((num_clips, size), share, length, min_masks=fewest)
                where = torch.from_numpy(found).to(bands.device).unsqueeze(axis)
                bands = bands.masked_fill(where, 0.0)
        return bands
