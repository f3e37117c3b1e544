"""Backbones whose first layers are convolutions of the waveform: wav2vec2 and its relatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emi_model.architecture.backbones.base import (
    Backbone,
    FrameGeometry,
    built,
    zero_mean_unit_variance,
)
from emi_model.arrays import Array
from emi_model.audio.waveform import as_float


class ConvolutionalBackbone(Backbone):
    """A model with the inputs, the convolutions and the masks of wav2vec2.

    Layer-norm models (``feat_extract_norm="layer"``) get a mask where lengths differ. Group-norm
    models normalise over time, padding included, so only clips of one length share a call.
    """

    model_class: ClassVar[type[nn.Module]]

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Build the backbone with fresh weights.

        Raises:
            ConfigError: arguments that no model of this family accepts.
        """
        super().__init__()
        model = self.built_model(arguments)
        self.config = model.config
        self.add_module(self.prefix, model)
        self.geometry = self.geometry_of(self.config)
        self.hidden_size = self.config.hidden_size
        self.head_dropout = float(self.config.final_dropout)
        self.needs_equal_lengths = not self.masks_exactly(self.config)
        self.normalises = bool(arguments.get("do_normalize", True))

    @classmethod
    def built_model(cls, arguments: Mapping[str, Any]) -> Any:
        """Return the model of a backbone's arguments, with fresh weights.

        Raises:
            ConfigError: arguments that no model of this family accepts.
        """
        return built(cls.model_class, cls.checked_config(arguments))

    @classmethod
    def geometry_of(cls, config: Any) -> FrameGeometry:
        """Return the frames of its convolutions."""
        return FrameGeometry(config.conv_kernel, config.conv_stride)

    @classmethod
    def masks_exactly(cls, config: Any) -> bool:
        """Return whether a mask keeps padding out of a clip's frames."""
        return bool(config.feat_extract_norm == "layer")

    @property
    def model(self) -> Any:
        """The ``transformers`` model."""
        return self.get_submodule(self.prefix)

    def prepare(self, waveform: Array) -> Array:
        """Return the waveform with zero mean and unit variance, unless its model takes it raw."""
        return zero_mean_unit_variance(waveform) if self.normalises else as_float(waveform)

    def encode(self, waveforms: Tensor, num_samples: Tensor | None) -> Tensor:
        """Return hidden states (B, F, hidden)."""
        mask = None
        if num_samples is not None:
            places = torch.arange(waveforms.shape[1], device=waveforms.device)
            mask = (places < num_samples[:, None]).long()
        hidden: Tensor = self.model(
            waveforms, attention_mask=mask, mask_time_indices=self._empty_mask(waveforms)
        ).last_hidden_state
        return hidden

    def freeze_first_layers(self, *, frozen: bool) -> None:
        """Freeze the convolutions, or unfreeze them, also after an earlier training."""
        convolutions = self.model.feature_extractor
        convolutions.requires_grad_(True)
        if frozen:  # not by requires_grad_: that would still differentiate the waveform
            convolutions._freeze_parameters()

    def _empty_mask(self, waveforms: Tensor) -> Tensor | None:
        """Return a mask (B, F) of no frame for clips shorter than SpecAugment's mask; else None.

        The backbone then draws its own mask; for such short clips it would raise an error.
        """
        config = self.config
        masks = self.training and config.apply_spec_augment and config.mask_time_prob > 0
        num_frames = int(self.geometry.num_frames(torch.tensor(waveforms.shape[1])))
        if not masks or num_frames >= config.mask_time_length:
            return None
        return waveforms.new_zeros((len(waveforms), num_frames), dtype=torch.bool)
