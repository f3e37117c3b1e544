"""Edges of the graph: which node hears which, and what passes between them, by channel.

After GRATIS's block of multi-dimensional edges, as ME-GraphAU has it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Edges(NamedTuple):
    """What lies between N nodes; the pair (i, j) says what node i takes from node j.

    Attributes:
        topology: (B, N, N, 1), in (0, 1): how far there is an edge at all.
        features: (B, N, N, C).
    """

    topology: Tensor
    features: Tensor


class PositionAttention(nn.Module):
    """``softmax(q k' / sqrt(C / 2)) v``: q and k of half the width, v of the whole; no residual."""

    def __init__(self, size: int) -> None:
        """Build the layers with fresh weights; ``size`` is C."""
        super().__init__()
        self.query = nn.Linear(size, size // 2)
        self.key = nn.Linear(size, size // 2)
        self.value = nn.Linear(size, size)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Return (..., P, C), what positions (..., P, C) find in others (..., Q, C)."""
        query, key = self.query(asking), self.key(asked)
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        found: Tensor = scores.softmax(dim=-1) @ self.value(asked)
        return found


class EdgeBlock(nn.Module):
    """The topology of a graph and the features of its edges, from its nodes.

    The topology is learnt from the task: an edge is as strong as
    ``sigmoid(t_ij + q(x_i) k(x_j) / sqrt(C / 2))``, of a number for the pair and of both nodes'
    means over positions. For its features each node first asks the mean of all nodes what of it
    concerns the node, then each node j's answer asks node i's; the mean over positions is left.
    """

    def __init__(self, num_nodes: int, size: int) -> None:
        """Build the layers with fresh weights; at first every edge is about half there."""
        super().__init__()
        self.pairs = nn.Parameter(torch.zeros(num_nodes, num_nodes))
        self.source = nn.Linear(size, size // 2)
        self.target = nn.Linear(size, size // 2)
        self.concern = PositionAttention(size)
        self.relation = PositionAttention(size)
        self.layer = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)

    def forward(self, nodes: Tensor) -> Edges:
        """Return the edges between nodes (B, N, P, C)."""
        means = nodes.mean(dim=2)
        target, source = self.target(means), self.source(means)
        alike = target @ source.transpose(1, 2) / target.shape[-1] ** 0.5
        whole = nodes.mean(dim=1, keepdim=True).expand_as(nodes)
        own = self.concern(nodes, whole)
        found = self.norm(self.layer(self.relation(own[:, None], own[:, :, None])))
        topology = torch.sigmoid(self.pairs + alike)[..., None]
        return Edges(topology, found.mean(dim=-2))
