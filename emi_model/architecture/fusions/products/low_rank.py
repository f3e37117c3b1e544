"""``low_rank``: products with few weights (Liu et al., arXiv 1806.00064)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused
from emi_model.architecture.fusions.products.factors import OF_PRODUCTS, ProductFusion
from emi_model.architecture.fusions.registry import register_fusion


@register_fusion("low_rank")
class LowRankFusion(ProductFusion):
    """The tensor of ``tensor``'s weights as a sum of outer products of one vector a modality.

    ``y = sum_r w_r prod_m (W_m,r z_m) + b``, where ``z_m`` is a modality's vector with its 1. The
    weights grow with the sum of the modalities' sizes, times ``rank``, in place of their product.
    A further argument: ``rank``, the number of outer products.
    """

    usual: ClassVar[Mapping[str, Any]] = {**OF_PRODUCTS, "rank": 8}

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the layers with fresh weights, which give products of about unit variance.

        Raises:
            ConfigError: as in `ProductFusion`.
        """
        super().__init__(config, branches)
        rank, entries = self.arguments["rank"], 1 + self.arguments["size"]
        self.factors = nn.ParameterDict(
            {
                name: nn.Parameter(torch.randn(rank, entries, self.fused_size) * entries**-0.5)
                for name in branches
            }
        )
        self.shares = nn.Parameter(torch.full((rank,), rank**-0.5))
        self.bias = nn.Parameter(torch.zeros(self.fused_size))

    def products(self, factors: list[Tensor]) -> Tensor:
        """Return (B, hidden) from a vector (B, 1 + size) of each modality."""
        found = self.shares[:, None, None]
        for name, factor in zip(self.vectors.widths, factors, strict=True):
            found = found * (factor @ self.factors[name])
        return found.sum(dim=0) + self.bias
