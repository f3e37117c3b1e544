"""``late``: one weight a modality and target."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, fusion_arguments
from emi_model.architecture.fusions.predictions import PredictionFusion, Predictions
from emi_model.architecture.fusions.registry import register_fusion


@register_fusion("late")
class LateFusion(PredictionFusion):
    """The weights are the same for all clips with the same modalities. It has no arguments."""

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the heads with fresh weights; all modalities weigh the same."""
        super().__init__(config, branches)
        fusion_arguments(config, self.usual)
        self.shared_logits = nn.Parameter(torch.zeros(len(branches), config.num_targets))

    def logits(self, predictions: Predictions) -> Tensor:
        """Return (B, modalities, targets), for each clip the same."""
        return self.shared_logits.expand(len(predictions.values), -1, -1)
