"""HuBERT (Hsu et al., arXiv 2106.07447)."""

from __future__ import annotations

from typing import Any

from transformers import HubertConfig, HubertModel

from emi_model.architecture.backbones.convolutional import ConvolutionalBackbone
from emi_model.errors import ConfigError


class HubertBackbone(ConvolutionalBackbone):
    """A ``transformers.HubertModel``."""

    model_type = "hubert"
    config_class = HubertConfig
    model_class = HubertModel
    prefix = "hubert"

    @classmethod
    def refuse(cls, config: Any) -> None:
        """Refuse a batch norm before the positional convolution: training would mix clips."""
        if getattr(config, "conv_pos_batch_norm", False):
            raise ConfigError(
                "backbone has conv_pos_batch_norm, expected a hubert model without: a batch norm "
                "makes a clip depend on its batch"
            )
