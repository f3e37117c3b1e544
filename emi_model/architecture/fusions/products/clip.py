"""``clip``: vectors in a joint space, and their similarities (Radford et al., arXiv 2103.00020)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, Fusion, fusion_arguments
from emi_model.architecture.fusions.registry import register_fusion
from emi_model.architecture.fusions.vectors import FRAME_MEAN, ClipVectors

TEMPERATURE = 0.07
"""Similarities are divided by it before training, as in CLIP."""

MOST_SCALE = 100.0
"""The largest factor of a similarity, as in CLIP."""


@register_fusion("clip")
class ClipFusion(Fusion):
    """A linear probe of unit vectors in a joint space, and of each pair's scaled cosine.

    Each modality's vector passes a linear layer without bias and is divided by its length, as at
    the end of CLIP's two encoders (`transformers` has these layers within its model alone). The
    layers learn from the labels; there is no contrastive loss. Arguments:

    - ``size``: of the joint space.
    - ``reading``: how a sequence becomes a vector (`emi_model.architecture.fusions.vectors`).
    """

    usual: ClassVar[Mapping[str, Any]] = {"size": 512, "reading": FRAME_MEAN}

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the layers with fresh weights."""
        super().__init__(config)
        arguments = fusion_arguments(config, self.usual)
        size = arguments["size"]
        self.vectors = ClipVectors(config, branches, arguments["reading"])
        self.projections = nn.ModuleDict(
            {
                name: nn.Linear(width, size, bias=False)
                for name, width in self.vectors.widths.items()
            }
        )
        pairs = math.comb(len(branches), 2)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE))) if pairs else None
        self.probe = nn.Linear(size * len(branches) + pairs, config.num_targets)

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        vectors = self.vectors(outputs, num_clips)
        unit = [
            functional.normalize(layer(vector), dim=-1)
            for layer, vector in zip(self.projections.values(), vectors, strict=True)
        ]
        seen = list(unit)
        if self.logit_scale is not None:
            scale = self.logit_scale.exp().clamp(max=MOST_SCALE)
            cosines = [(one * other).sum(-1) for one, other in combinations(unit, 2)]
            seen.append(scale * torch.stack(cosines, dim=-1))
        return self.activated(self.probe(torch.cat(seen, dim=-1)))
