"""``text_anchored``: the text asks, frames answer (TAEMI, arXiv 2603.14976)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import BranchOutput, frame_mask
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.fusion import (
    Fused,
    Fusion,
    filled,
    fusion_arguments,
    missing_token,
)
from emi_model.architecture.fusions.registry import register_fusion
from emi_model.errors import ConfigError


class CrossAttention(nn.Module):
    """One query a clip over the frames of another modality, several heads, without a residual.

    ``softmax(q k' / sqrt(head size))``, where ``q = LN(Linear(query))``, ``k = LN(Linear(frames))``
    and the values ``Linear(frames)`` are not normalised; then dropout and ``Linear``.
    """

    def __init__(
        self, query_size: int, frame_size: int, size: int, heads: int, drop: float
    ) -> None:
        """Build the layers, from the sizes of the query and of the frames to ``size``."""
        super().__init__()
        self.q_proj = nn.Linear(query_size, size)
        self.k_proj = nn.Linear(frame_size, size)
        self.v_proj = nn.Linear(frame_size, size)
        self.out_proj = nn.Linear(size, size)
        self.ln_q = nn.LayerNorm(size)
        self.ln_kv = nn.LayerNorm(size)
        self.dropout = nn.Dropout(drop)
        self._num_heads = heads

    def forward(self, query: Tensor, frames: Tensor, num_frames: Tensor) -> Tensor:
        """Return (B, size) of queries (B, D) and frames (B, F, E), of which each has its number."""
        mask = frame_mask(num_frames, frames.shape[1])
        frames = torch.where(mask[..., None], frames, torch.zeros_like(frames))
        asked = self._split(self.ln_q(self.q_proj(query))[:, None])
        keys = self._split(self.ln_kv(self.k_proj(frames)))
        values = self._split(self.v_proj(frames))
        scores = asked @ keys.transpose(-1, -2) / keys.shape[-1] ** 0.5
        shares = scores.masked_fill(~mask[:, None, None], -torch.inf).softmax(dim=-1)
        found = (shares @ values).transpose(1, 2).flatten(1)
        attended: Tensor = self.out_proj(self.dropout(found))
        return attended

    def _split(self, values: Tensor) -> Tensor:
        """Return (B, heads, F, size / heads) of (B, F, size)."""
        return values.reshape(*values.shape[:2], self._num_heads, -1).transpose(1, 2)


@register_fusion("text_anchored")
class TextAnchoredFusion(Fusion):
    """Text's vector beside what it finds in each other modality; Linear, GELU, dropout, Linear.

    Where a clip lacks a modality, a learnt token stands in its place, as the only frame or as the
    text's vector. Arguments: ``anchor``, the modality that asks; ``size`` of the attention and of
    the last hidden layer; ``num_heads``; ``dropout``.
    """

    usual: ClassVar[Mapping[str, Any]] = {
        "anchor": "text",
        "size": 512,
        "num_heads": 4,
        "dropout": 0.1,
    }

    def __init__(self, config: EmiConfig, branches: Mapping[str, Fused]) -> None:
        """Build the layers with fresh weights, and tokens from a narrow normal distribution.

        Raises:
            ConfigError: unknown arguments, no branch that asks, or heads that do not divide.
        """
        super().__init__(config)
        arguments = fusion_arguments(config, self.usual)
        self._anchor, size = arguments["anchor"], arguments["size"]
        if self._anchor not in branches:
            raise ConfigError(
                f"found branches {list(branches)}, expected {self._anchor!r} among them, which "
                "fusion 'text_anchored' asks with"
            )
        if size % arguments["num_heads"]:
            raise ConfigError(
                f"fusion.size is {size}, expected a multiple of num_heads, {arguments['num_heads']}"
            )
        self._others = tuple(name for name in branches if name != self._anchor)
        width = branches[self._anchor].feature_size
        for name in self._others:
            attention = CrossAttention(
                width,
                branches[name].feature_size,
                size,
                arguments["num_heads"],
                arguments["dropout"],
            )
            self.add_module(f"ca_{name}", attention)
            self.register_parameter(
                f"miss_{name}", missing_token(1, 1, branches[name].feature_size)
            )
        self.register_parameter(f"miss_{self._anchor}", missing_token(1, width))
        self.pred_head = nn.Sequential(
            nn.Linear(width + size * len(self._others), size),
            nn.GELU(),
            nn.Dropout(arguments["dropout"]),
            nn.Linear(size, config.num_targets),
        )

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        anchor = outputs.get(self._anchor)
        vector = None if anchor is None else anchor.clip_vector()
        rows = None if anchor is None else anchor.rows
        query = filled(self._token(self._anchor), vector, rows, num_clips)
        found = [query]
        for name in self._others:
            frames, num_frames = self._frames(name, outputs.get(name), num_clips)
            found.append(self.get_submodule(f"ca_{name}")(query, frames, num_frames))
        return self.activated(self.pred_head(torch.cat(found, dim=-1)))

    def _frames(
        self, name: str, output: BranchOutput | None, num_clips: int
    ) -> tuple[Tensor, Tensor]:
        """Return frames (num_clips, F, D), of a token where a clip has none, and their numbers."""
        if output is not None and output.rows is None:
            return output.features, output.num_frames
        token = self._token(name)
        counts = torch.ones(num_clips, dtype=torch.int64, device=token.device)
        if output is None or output.rows is None:
            return token.expand(num_clips, 1, -1), counts
        tokens = token.repeat(num_clips, output.features.shape[1], 1)
        frames = tokens.index_copy(0, output.rows, output.features)
        return frames, counts.index_copy(0, output.rows, output.num_frames)

    def _token(self, name: str) -> Tensor:
        return self.get_parameter(f"miss_{name}").flatten()
