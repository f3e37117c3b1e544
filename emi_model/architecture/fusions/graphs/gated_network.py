"""The gated graph network: edges learn from the nodes at their ends, nodes from their edges."""

from __future__ import annotations

from torch import Tensor, nn

from emi_model.architecture.fusions.graphs.edges import Edges


class GatedLayer(nn.Module):
    """One step of a gated graph network with features on its edges, as ME-GraphAU has it.

    ``e_ij <- e_ij + relu(LN(A x_i + B x_j + E e_ij))``, then, by channel, shares
    ``a_ij = softmax over j of sigmoid(e_ij)``, and
    ``x_i <- relu(x_i + LN(U x_i + 1/N sum over j of s_ij a_ij V x_j))`` with the topology s.

    The published code normalises over the batch (BatchNorm). Here each vector is normalised by
    itself (LayerNorm): in training, too, a clip's output then depends on nothing but the clip,
    the tokens of missing modalities do not shift what the others are measured by, and a batch may
    hold a single clip.
    """

    def __init__(self, size: int) -> None:
        """Build the layers with fresh weights, without biases; ``size`` is C."""
        super().__init__()
        self.to_edge = nn.Linear(size, size, bias=False)
        self.from_edge = nn.Linear(size, size, bias=False)
        self.edge = nn.Linear(size, size, bias=False)
        self.own = nn.Linear(size, size, bias=False)
        self.other = nn.Linear(size, size, bias=False)
        self.edge_norm = nn.LayerNorm(size)
        self.node_norm = nn.LayerNorm(size)

    def forward(self, nodes: Tensor, edges: Edges) -> tuple[Tensor, Edges]:
        """Return nodes (B, N, C) and edges after this step."""
        ends = self.to_edge(nodes)[:, :, None] + self.from_edge(nodes)[:, None]
        features = edges.features + self.edge_norm(ends + self.edge(edges.features)).relu()
        shares = edges.topology * features.sigmoid().softmax(dim=2)
        heard = (shares * self.other(nodes)[:, None]).sum(dim=2) / nodes.shape[1]
        nodes = (nodes + self.node_norm(self.own(nodes) + heard)).relu()
        return nodes, Edges(edges.topology, features)
