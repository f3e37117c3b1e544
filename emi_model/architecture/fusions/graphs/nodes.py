"""Nodes of the graph: every modality's frames become the same few positions of the same width."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from emi_model.architecture.branch import BranchOutput
from emi_model.architecture.fusions.fusion import Fused, missing_token


class Node(nn.Module):
    """One modality as a node, after the first part of arXiv 2406.07437.

    A sequence goes through an LSTM, and the mean of its states over each of ``positions`` equal
    stretches of the clip is a position of the node. Anything else goes through one linear layer,
    and its positions are alike. Where a clip lacks the modality, a learnt token stands at all
    positions.
    """

    def __init__(
        self, branch: Fused, size: int, num_layers: int, positions: int, *, optional: bool
    ) -> None:
        """Build the layers with fresh weights.

        Args:
            branch: of the modality.
            size: the node's width.
            num_layers: of an LSTM.
            positions: of the node.
            optional: clips may lack the modality.
        """
        super().__init__()
        self.layer = (
            nn.LSTM(branch.feature_size, size, num_layers, batch_first=True)
            if branch.is_sequential
            else nn.Linear(branch.feature_size, size)
        )
        self.missing = missing_token(size) if optional else None
        self._positions = positions

    def forward(self, output: BranchOutput | None, num_clips: int) -> Tensor:
        """Return (num_clips, positions, size); without an output no clip has the modality."""
        found = None if output is None else self._read(output)
        if self.missing is None:
            assert found is not None, "the model checks what every clip must have"
            return found
        tokens = self.missing.expand(num_clips, self._positions, -1)
        if output is None or found is None:
            return tokens
        return found if output.rows is None else tokens.index_copy(0, output.rows, found)

    def _read(self, output: BranchOutput) -> Tensor:
        if not isinstance(self.layer, nn.LSTM):
            vector: Tensor = self.layer(output.clip_vector())
            return vector[:, None].expand(-1, self._positions, -1)
        packed = pack_padded_sequence(
            output.features, output.num_frames.cpu(), batch_first=True, enforce_sorted=False
        )
        states = pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0]
        return stretch_means(states, output.num_frames, self._positions)


def stretch_means(states: Tensor, num_frames: Tensor, positions: int) -> Tensor:
    """Return means (B, positions, D) over equal stretches of each clip's own states (B, F, D).

    Of n frames and P positions, position p is the mean over frames from ``floor(p n / P)`` up to,
    not including, ``ceil((p + 1) n / P)``; neighbours share a frame where P does not divide n.

    Args:
        states: finite, also after a clip's end.
        num_frames: int64 (B,), one or more.
        positions: P.
    """
    place = torch.arange(positions, device=states.device)
    count = num_frames[:, None]
    first = place * count // positions
    behind = -(-(place + 1) * count // positions)
    frame = torch.arange(states.shape[1], device=states.device)
    inside = (frame >= first[..., None]) & (frame < behind[..., None])
    shares = inside / (behind - first)[..., None]
    return shares.to(states.dtype) @ states
