"""``gated``: a small network decides for each clip and target which modality counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, fusion_arguments
from emi_model.architecture.fusions.predictions import PredictionFusion, Predictions
from emi_model.architecture.fusions.registry import register_fusion


@register_fusion("gated")
class GatedFusion(PredictionFusion):
    """Linear, tanh, Linear of every modality's predictions, its amount, and whether it is there.

    Argument: ``gate_size``, width between the two linear layers.
    """

    usual: ClassVar[Mapping[str, Any]] = {"gate_size": 16}

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the heads and the gate with fresh weights; all modalities weigh the same."""
        super().__init__(config, branches)
        size = fusion_arguments(config, self.usual)["gate_size"]
        outputs = len(branches) * config.num_targets
        last = nn.Linear(size, outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.gate = nn.Sequential(nn.Linear(outputs + 2 * len(branches), size), nn.Tanh(), last)

    def logits(self, predictions: Predictions) -> Tensor:
        """Return (B, modalities, targets)."""
        values, amounts = predictions
        present = (amounts > 0).to(values.dtype)
        seen = [values.nan_to_num().flatten(1), amounts, present]
        found: Tensor = self.gate(torch.cat(seen, dim=1)).view_as(values)
        return found
