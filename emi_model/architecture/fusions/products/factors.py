"""What the full tensor of products and its low-rank form share: a narrow vector a modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, Fusion, fusion_arguments
from emi_model.architecture.fusions.vectors import LAST_STATE, ClipVectors

OF_PRODUCTS: Mapping[str, Any] = {
    "size": 32,
    "hidden_size": 128,
    "dropout": 0.1,
    "reading": LAST_STATE,
}
"""Arguments of every fusion of products, with their usual values."""


class ProductFusion(Fusion):
    """Products of modalities, then ReLU, dropout, Linear.

    Each modality's vector passes Linear, tanh and dropout, and a 1 is put before its entries. So
    the products of one entry of each modality hold the entries themselves, too, and the products
    of any subset. `products` maps them to the hidden layer by linear weights. Arguments:

    - ``size``: entries of a modality's vector, without the 1.
    - ``hidden_size``: width of the hidden layer; 0: none, the products give the outputs.
    - ``dropout``: of these vectors and of the hidden layer.
    - ``reading``: how a sequence becomes a vector (`emi_model.architecture.fusions.vectors`).
    """

    usual: ClassVar[Mapping[str, Any]] = OF_PRODUCTS

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build all but the weights of the products.

        Raises:
            ConfigError: unknown arguments, or sizes that do not fit.
        """
        super().__init__(config)
        self.arguments = fusion_arguments(config, self.usual)
        size, hidden_size = self.arguments["size"], self.arguments["hidden_size"]
        dropout = self.arguments["dropout"]
        self.vectors = ClipVectors(config, branches, self.arguments["reading"])
        self.narrow = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(width, size), nn.Tanh(), nn.Dropout(dropout))
                for name, width in self.vectors.widths.items()
            }
        )
        self.fused_size = hidden_size or config.num_targets
        self.last = nn.Sequential()
        if hidden_size:
            layer = nn.Linear(hidden_size, config.num_targets)
            self.last = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), layer)

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        vectors = self.vectors(outputs, num_clips)
        narrow = [layer(one) for layer, one in zip(self.narrow.values(), vectors, strict=True)]
        ones = narrow[0].new_ones(num_clips, 1)
        return self.activated(self.last(self.products([torch.cat([ones, n], 1) for n in narrow])))

    def products(self, factors: list[Tensor]) -> Tensor:
        """Return (B, hidden) from a vector (B, 1 + size) of each modality, its first entry 1."""
        raise NotImplementedError
