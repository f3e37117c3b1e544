"""``tensor``: all products of the modalities' entries (Zadeh et al., arXiv 1707.07250)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused
from emi_model.architecture.fusions.products.factors import ProductFusion
from emi_model.architecture.fusions.registry import register_fusion
from emi_model.errors import ConfigError

MOST_PRODUCTS = 300_000
"""More than three modalities have at a ``size`` of 64."""


@register_fusion("tensor")
class TensorFusion(ProductFusion):
    """One weight a product of one entry from each modality, and hidden unit.

    For text and faces this is the outer product of arXiv 2403.08511. M modalities have
    ``(1 + size)^M`` products: 1,089 for two and 35,937 for three at the usual size.
    """

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the layers with fresh weights.

        Raises:
            ConfigError: as in `ProductFusion`, or more than `MOST_PRODUCTS` products.
        """
        super().__init__(config, branches)
        num_products = (1 + self.arguments["size"]) ** len(branches)
        if num_products > MOST_PRODUCTS:
            raise ConfigError(
                f"found {num_products:,} products of {len(branches)} modalities, expected at most "
                f"{MOST_PRODUCTS:,}: lower fusion.size, or take the fusion low_rank"
            )
        self.weigh = nn.Linear(num_products, self.fused_size)

    def products(self, factors: list[Tensor]) -> Tensor:
        """Return (B, hidden) from a vector (B, 1 + size) of each modality."""
        found = factors[0]
        for factor in factors[1:]:
            found = torch.einsum("bi,bj->bij", found, factor).flatten(1)
        weighed: Tensor = self.weigh(found)
        return weighed
