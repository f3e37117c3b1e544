"""``vilbert``: each modality's tokens ask those of the others (Lu et al., arXiv 1908.02265)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emi_model.architecture.branch import BranchOutput, frame_mask
from emi_model.architecture.config import EmiConfig
from emi_model.architecture.fusions.attention.block import PostNormBlock
from emi_model.architecture.fusions.fusion import (
    Fused,
    Fusion,
    filled,
    fusion_arguments,
    missing_token,
)
from emi_model.architecture.fusions.registry import register_fusion
from emi_model.errors import ConfigError

WIDER = 4
"""A feed-forward layer is as many times as wide as its tokens, as in BERT."""


class TokenStream(nn.Module):
    """The tokens of one modality: first the clip's vector, marked by a learnt token, then frames.

    Where a clip lacks the modality, another learnt token takes the place of vector and frames.
    """

    def __init__(self, branch: Fused, size: int, *, is_optional: bool) -> None:
        """Build the projection of features to ``size`` entries, and the tokens."""
        super().__init__()
        self.project = nn.Linear(branch.feature_size, size)
        self.norm = nn.LayerNorm(size)
        self.first = missing_token(size)
        self.stand_in = missing_token(branch.feature_size) if is_optional else None

    def forward(self, output: BranchOutput | None, num_clips: int) -> tuple[Tensor, Tensor]:
        """Return tokens (num_clips, 1 + F, D), and bool (num_clips, 1 + F), true where one is."""
        values, num_frames = self._values(output, num_clips)
        mask = frame_mask(1 + num_frames, values.shape[1])
        values = torch.where(mask[..., None], values, torch.zeros_like(values))
        tokens = self.project(values)
        first = tokens[:, :1] + self.first
        return self.norm(torch.cat([first, tokens[:, 1:]], dim=1)), mask

    def _values(self, output: BranchOutput | None, num_clips: int) -> tuple[Tensor, Tensor]:
        """Return vector and frames (num_clips, 1 + F, E) of each clip, and its number of frames."""
        own = None
        if output is not None:
            own = torch.cat([output.clip_vector()[:, None], output.features], dim=1)
            if output.rows is None:
                return own, output.num_frames
        assert self.stand_in is not None, "a required modality is in every clip"
        counts = torch.ones(num_clips, dtype=torch.int64, device=self.stand_in.device)
        if own is None or output is None or output.rows is None:
            return self.stand_in.expand(num_clips, 2, -1), counts
        token = self.stand_in.repeat(own.shape[1])
        values = filled(token, own.flatten(1), output.rows, num_clips)
        counts = counts.index_copy(0, output.rows, output.num_frames)
        return values.view(num_clips, *own.shape[1:]), counts


@register_fusion("vilbert")
class VilbertFusion(Fusion):
    """Streams of tokens with co-attention between them; the product of their first tokens.

    In each layer every stream's tokens ask the tokens of all other streams, all at once, and then
    their own. Each stream's first token passes Linear and ReLU; the product over streams passes
    dropout and Linear. Frames have no positions but those that their branch gave them. The blocks
    are ours: in `transformers`' LXMERT both directions share their weights, in ViLBERT they do
    not. Arguments:

    - ``size``: of the tokens.
    - ``num_heads``: of every attention.
    - ``num_layers``: of co-attention and attention.
    - ``dropout``: within the blocks and of the product.
    """

    usual: ClassVar[Mapping[str, Any]] = {
        "size": 256,
        "num_heads": 8,
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
        size, heads, drop = (arguments[name] for name in ("size", "num_heads", "dropout"))
        if size % heads:
            raise ConfigError(f"fusion.size is {size}, expected a multiple of num_heads, {heads}")
        self.streams = nn.ModuleDict(
            {
                name: TokenStream(branch, size, is_optional=name not in config.required)
                for name, branch in branches.items()
            }
        )

        def blocks() -> nn.ModuleList:
            return nn.ModuleList(
                PostNormBlock(size, heads, drop, hidden=WIDER * size, activation=nn.GELU())
                for _ in range(arguments["num_layers"])
            )

        several = branches if len(branches) > 1 else ()
        self.between = nn.ModuleDict({name: blocks() for name in several})
        self.within = nn.ModuleDict({name: blocks() for name in branches})
        self.pool = nn.ModuleDict(
            {name: nn.Sequential(nn.Linear(size, size), nn.ReLU()) for name in branches}
        )
        self.head = nn.Sequential(nn.Dropout(drop), nn.Linear(size, config.num_targets))
        self._num_layers = int(arguments["num_layers"])

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        tokens, masks = {}, {}
        for name, stream in self.streams.items():
            tokens[name], masks[name] = stream(outputs.get(name), num_clips)
        for layer in range(self._num_layers):
            tokens = self._layer(layer, tokens, masks)
        first = [pool(tokens[name][:, 0]) for name, pool in self.pool.items()]
        return self.activated(self.head(reduce(torch.mul, first)))

    def _layer(
        self, layer: int, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        found = dict(tokens)
        for name in self.between:
            others = [other for other in tokens if other != name]
            seen = torch.cat([tokens[other] for other in others], dim=1)
            mask = torch.cat([masks[other] for other in others], dim=1)
            found[name] = self._block(self.between, name, layer)(tokens[name], seen, mask)
        return {
            name: self._block(self.within, name, layer)(found[name], found[name], masks[name])
            for name in found
        }

    @staticmethod
    def _block(blocks: nn.ModuleDict, name: str, layer: int) -> nn.Module:
        of_layers = blocks[name]
        assert isinstance(of_layers, nn.ModuleList)
        return of_layers[layer]
