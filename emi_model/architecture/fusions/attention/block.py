"""A block of a transformer's encoder, as fusions of tokens use it."""

from __future__ import annotations

from torch import Tensor, nn


class PostNormBlock(nn.Module):
    """Attention, then Linear, activation, Linear; each with a residual and a LayerNorm behind."""

    def __init__(
        self, size: int, heads: int, drop: float, *, hidden: int, activation: nn.Module
    ) -> None:
        """Build the layers of tokens of ``size`` entries, ``hidden`` between the Linears."""
        super().__init__()
        self.attention = nn.MultiheadAttention(size, heads, drop, batch_first=True)
        self.norm = nn.LayerNorm(size)
        self.feed_forward = nn.Sequential(
            nn.Linear(size, hidden), activation, nn.Linear(hidden, size)
        )
        self.last_norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(drop)

    def forward(self, tokens: Tensor, others: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return tokens (B, N, D), which have asked others (B, M, D).

        Args:
            tokens: those that ask.
            others: those that are asked; the tokens themselves for self-attention.
            mask: bool (B, M), true where there is one to be asked; None: everywhere.
        """
        absent = None if mask is None else ~mask
        found, _ = self.attention(
            tokens, others, others, key_padding_mask=absent, need_weights=False
        )
        tokens = self.norm(tokens + self.dropout(found))
        asked: Tensor = self.last_norm(tokens + self.dropout(self.feed_forward(tokens)))
        return asked
