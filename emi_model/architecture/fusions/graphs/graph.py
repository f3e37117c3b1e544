"""``graph``: modalities as nodes of a graph with learnt edges (arXiv 2406.07437)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import Fused, Fusion, fusion_arguments
from emi_model.architecture.fusions.graphs.edges import EdgeBlock
from emi_model.architecture.fusions.graphs.gated_network import GatedLayer
from emi_model.architecture.fusions.graphs.nodes import Node
from emi_model.architecture.fusions.registry import register_fusion
from emi_model.errors import ConfigError


@register_fusion("graph")
class GraphFusion(Fusion):
    """Nodes of one width, edges of features between all of them, a gated graph network.

    The nodes may be modalities, or several sets of features of one, such as MFCC beside
    functionals of the same sound. What the network makes of the nodes is concatenated; dropout,
    Linear. The paper's widths are not published. Arguments:

    - ``size``, even: width of nodes and edges.
    - ``lstm_layers``: layers of a sequence's LSTM.
    - ``positions``: stretches of a clip, of which each is a position of a node.
    - ``num_layers``: steps of the gated graph network.
    - ``dropout``: of the nodes' vectors before the network and before the last layer.

    A learnt token takes the place of a node that a clip lacks.
    """

    usual: ClassVar[Mapping[str, Any]] = {
        "size": 64,
        "lstm_layers": 2,
        "positions": 4,
        "num_layers": 2,
        "dropout": 0.1,
    }

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the layers with fresh weights.

        Raises:
            ConfigError: unknown arguments, or values that do not fit.
        """
        super().__init__(config)
        arguments = fusion_arguments(config, self.usual)
        _check(arguments)
        size = arguments["size"]
        self.nodes = nn.ModuleDict(
            {
                name: Node(
                    branch,
                    size,
                    arguments["lstm_layers"],
                    arguments["positions"],
                    optional=name not in config.required,
                )
                for name, branch in branches.items()
            }
        )
        self.edges = EdgeBlock(len(branches), size)
        self.network = nn.ModuleList(GatedLayer(size) for _ in range(arguments["num_layers"]))
        self.dropout = nn.Dropout(arguments["dropout"])
        self.last = nn.Linear(len(branches) * size, config.num_targets)

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        nodes = torch.stack(
            [node(outputs.get(name), num_clips) for name, node in self.nodes.items()], dim=1
        )
        edges = self.edges(nodes)
        values = self.dropout(nodes.mean(dim=2))
        for layer in self.network:
            values, edges = layer(values, edges)
        return self.activated(self.last(self.dropout(values.flatten(1))))


def _check(arguments: Mapping[str, Any]) -> None:
    if arguments["size"] % 2:
        raise ConfigError(f"fusion.size is {arguments['size']}, expected an even number")
