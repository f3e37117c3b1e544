"""WavLM (Chen et al., arXiv 2110.13900): wav2vec2 with gated relative positions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers import WavLMConfig, WavLMModel

from emi_model.architecture.backbones.convolutional import ConvolutionalBackbone


class WavLMBackbone(ConvolutionalBackbone):
    """A ``transformers.WavLMModel``."""

    model_type = "wavlm"
    config_class = WavLMConfig
    model_class = WavLMModel
    prefix = "wavlm"

    @classmethod
    def checked_config(cls, arguments: Mapping[str, Any]) -> Any:
        """Return the config, with the setting that transformers 5.23 reads and does not define."""
        return super().checked_config({"mask_feature_min_masks": 0, **arguments})

    def encode(self, waveforms: Tensor, num_samples: Tensor | None) -> Tensor:
        """Return hidden states (B, F, hidden)."""
        with warnings.catch_warnings():  # transformers gives torch a bool and a float mask
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
            return super().encode(waveforms, num_samples)
