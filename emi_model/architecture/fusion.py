"""From hidden states to scores: VAD head, global vector, LSTM, fusion (Hallmen et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from emi_model.architecture.audio_branch import frame_mask
from emi_model.architecture.config import EmiConfig
from emi_model.targets import VAD_DIMENSIONS


class VadHead(nn.Module):
    """Dropout, Linear, tanh, dropout, Linear: arousal, dominance, valence of any hidden state.

    The head of the public VAD model (Wagner et al., arXiv 2203.07378). It is not linear: its
    outputs' mean over frames is not its output for the mean frame.
    """

    def __init__(self, hidden_size: int, dropout: float) -> None:
        """Build the head for hidden states of ``hidden_size``."""
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(hidden_size, len(VAD_DIMENSIONS))

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (..., 3), unbounded, of hidden states (..., hidden)."""
        dense = torch.tanh(self.dense(self.dropout(hidden)))
        vad: Tensor = self.out_proj(self.dropout(dense))
        return vad


class Fusion(nn.Module):
    """Global vector beside the LSTM's last state, fused into one output a target."""

    def __init__(self, config: EmiConfig) -> None:
        """Build the branches that the config switches on."""
        super().__init__()
        self.uses_global_vector = config.global_vector
        self.lstm = (
            nn.LSTM(config.feature_size, config.feature_size, config.lstm_layers, batch_first=True)
            if config.lstm
            else None
        )
        width = config.fusion_size
        last = nn.Linear(width, config.num_targets)
        self.layers = nn.Sequential(
            *([nn.Linear(width, width), nn.Tanh()] if config.regression_head else []), last
        )

    def forward(self, features: Tensor, global_vector: Tensor, num_frames: Tensor) -> Tensor:
        """Return (B, targets), unbounded, of frame features (B, F, D) and their mean (B, D)."""
        state = None if self.lstm is None else last_state(self.lstm, features, num_frames)
        return self.fuse(global_vector, state)

    def fuse(self, global_vector: Tensor, state: Tensor | None) -> Tensor:
        """Return (B, targets), unbounded, of means (B, D) and the LSTM's last state (B, D)."""
        branches = [global_vector] if self.uses_global_vector else []
        if state is not None:
            branches.append(state)
        emi: Tensor = self.layers(torch.cat(branches, dim=-1))
        return emi


def last_state(lstm: nn.LSTM, features: Tensor, num_frames: Tensor) -> Tensor:
    """Return the top layer's state (B, D) at each clip's last frame, of features (B, F, D)."""
    packed = pack_padded_sequence(
        features, num_frames.cpu(), batch_first=True, enforce_sorted=False
    )
    state: Tensor = lstm(packed)[1][0][-1]
    return state


def masked_mean(values: Tensor, num_frames: Tensor) -> Tensor:
    """Return the mean (B, D) over each clip's own frames of values (B, F, D)."""
    mask = frame_mask(num_frames, values.shape[1])
    return (values * mask[..., None]).sum(dim=1) / num_frames[:, None]
