"""``pooled``: each modality's frames weighed by attention, then concatenated (arXiv 2605.21869)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, Fusion, fusion_arguments
from emi_model.architecture.fusions.registry import register_fusion
from emi_model.architecture.fusions.vectors import ATTENDED, ClipVectors


@register_fusion("pooled")
class PooledFusion(Fusion):
    """The fusion of MimicMetrics: masked attention pooling, one block a modality, concatenation.

    A block is LayerNorm, Linear, GELU, dropout, LayerNorm; behind the concatenation follow
    LayerNorm, dropout, Linear, GELU, dropout, Linear. Where a clip lacks a modality, a learnt token
    takes the place of its pooled vector. Arguments:

    - ``size``: of each block and of the last hidden layer.
    - ``dropout``: everywhere.
    """

    usual: ClassVar[Mapping[str, Any]] = {"size": 384, "dropout": 0.45}

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the layers with fresh weights."""
        super().__init__(config)
        arguments = fusion_arguments(config, self.usual)
        size, drop = arguments["size"], arguments["dropout"]
        self.vectors = ClipVectors(config, branches, ATTENDED)
        self.blocks = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.LayerNorm(width),
                    nn.Linear(width, size),
                    nn.GELU(),
                    nn.Dropout(drop),
                    nn.LayerNorm(size),
                )
                for name, width in self.vectors.widths.items()
            }
        )
        self.head = nn.Sequential(
            nn.LayerNorm(size * len(branches)),
            nn.Dropout(drop),
            nn.Linear(size * len(branches), size),
            nn.GELU(),
            nn.Dropout(drop),
            nn.Linear(size, config.num_targets),
        )

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        vectors = self.vectors(outputs, num_clips)
        found = [block(one) for block, one in zip(self.blocks.values(), vectors, strict=True)]
        return self.activated(self.head(torch.cat(found, dim=-1)))
