"""wav2vec2-BERT (Seamless Communication, arXiv 2312.05187): conformers over log-mel bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

from emi_model.architecture.backbones.base import Backbone, FrameGeometry, built
from emi_model.architecture.backbones.filterbanks import HOP, WINDOW, kaldi_bands
from emi_model.architecture.branch import frame_mask
from emi_model.arrays import Array
from emi_model.audio.waveform import as_float
from emi_model.errors import ConfigError

_STEPS = 2
"""Steps of the filterbank, 10 ms each, that are one frame; a last odd step is left out."""


class Wav2Vec2BertBackbone(Backbone):
    """A ``transformers.Wav2Vec2BertModel``; a frame is two steps of the bands side by side."""

    model_type = "wav2vec2-bert"
    config_class = Wav2Vec2BertConfig
    prefix = "wav2vec2_bert"

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Build the backbone with fresh weights.

        Raises:
            ConfigError: arguments that no model of this family accepts.
        """
        super().__init__()
        self.config = self.checked_config(arguments)
        self.wav2vec2_bert: Any = built(Wav2Vec2BertModel, self.config)
        self.geometry = self.geometry_of(self.config)
        self.hidden_size = self.config.hidden_size
        self.head_dropout = float(self.config.final_dropout)
        self._steps = FrameGeometry([WINDOW], [HOP])

    @classmethod
    def refuse(cls, config: Any) -> None:
        """Refuse positions other than those of the published models, and odd inputs."""
        if config.position_embeddings_type not in ("relative_key", None):
            raise ConfigError(
                f"backbone has position_embeddings_type {config.position_embeddings_type!r}, "
                "expected 'relative_key'"
            )
        if config.feature_projection_input_dim % _STEPS:
            raise ConfigError(
                f"backbone has feature_projection_input_dim {config.feature_projection_input_dim}, "
                "expected an even number: two steps of the bands"
            )

    @classmethod
    def geometry_of(cls, config: Any) -> FrameGeometry:
        """Return the frames: windows of 25 ms each 10 ms, two to a frame."""
        return FrameGeometry([WINDOW, _STEPS], [HOP, _STEPS])

    def prepare(self, waveform: Array) -> Array:
        """Return the waveform as it is; its bands are normalised."""
        return as_float(waveform)

    def encode(self, waveforms: Tensor, num_samples: Tensor | None) -> Tensor:
        """Return hidden states (B, F, hidden)."""
        lengths = num_samples
        if lengths is None:
            lengths = torch.full_like(waveforms[:, 0], waveforms.shape[1], dtype=torch.int64)
        num_bands = self.config.feature_projection_input_dim // _STEPS
        bands = kaldi_bands(waveforms, num_bands, self._steps.num_frames(lengths))
        num_frames = bands.shape[1] // _STEPS
        features = bands[:, : num_frames * _STEPS].reshape(len(bands), num_frames, -1)
        mask = None
        if num_samples is not None:
            mask = frame_mask(self.geometry.num_frames(lengths), num_frames).long()
        hidden: Tensor = self.wav2vec2_bert(
            features, attention_mask=mask, mask_time_indices=self._empty_mask(features)
        ).last_hidden_state
        return hidden

    def freeze_first_layers(self, *, frozen: bool) -> None:
        """Freeze the projection of the bands, or unfreeze it: there are no convolutions."""
        self.wav2vec2_bert.feature_projection.requires_grad_(not frozen)

    def _empty_mask(self, features: Tensor) -> Tensor | None:
        """Return a mask (B, F) of no frame for clips shorter than SpecAugment's mask; else None."""
        config = self.config
        masks = self.training and config.apply_spec_augment and config.mask_time_prob > 0
        if not masks or features.shape[1] >= config.mask_time_length:
            return None
        return features.new_zeros(features.shape[:2], dtype=torch.bool)
