"""``jmt``: modalities and what they say jointly ask each other (arXiv 2403.10488)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
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

JOINT = "joint"
"""The stream beside those of the modalities."""

SELF_ATTENTION, CONCATENATION = "self_attention", "concat"
"""Values of ``read_out``."""


def steps_of(features: Tensor, num_frames: Tensor, steps: int) -> Tensor:
    """Return the means (B, steps, D) of equal parts of each clip's own frames (B, F, D).

    Of n frames, step s is the mean of frames ``floor(s n / steps)`` to ``ceil((s + 1) n / steps)``,
    the last one left out: of fewer frames than steps each stands in several.
    """
    places = torch.arange(steps, device=features.device)
    first = places * num_frames[:, None] // steps
    end = -(-(places + 1) * num_frames[:, None] // steps)
    frames = torch.arange(features.shape[1], device=features.device)
    within = (first[..., None] <= frames) & (frames < end[..., None])
    shares = within.to(features.dtype) / (end - first)[..., None]
    own = frame_mask(num_frames, features.shape[1])[..., None]
    return shares @ torch.where(own, features, torch.zeros_like(features))


@register_fusion("jmt")
class JointTransformerFusion(Fusion):
    """The joint multimodal transformer, for one modality or more at any rates.

    Each clip's frames become ``steps`` means, so that modalities of different rates stand beside
    each other in time; each step is projected and scaled to length 1. The joint stream is a linear
    layer of all modalities' steps. Each stream passes an encoder; then every stream asks every
    other one (two modalities: six cross-attentions), by an attention that is the asking stream's
    own. What they found is read out, and each step gives a score a target: Linear, ReLU, dropout,
    Linear. The clip's score is their mean. There are no positions, as in the published code.

    Unlike that code, batches come first everywhere, so that no clip gets another's score; all
    tokens are read, not the last one; and a learnt token takes the place of each step of a modality
    that a clip lacks. Arguments:

    - ``size``: of the tokens.
    - ``steps``: of each clip.
    - ``num_heads``: of every attention.
    - ``read_out``: ``self_attention``: an encoder and an attention over what the streams found in a
      step, and the mean; ``concat``: all of it, concatenated, Linear to twice the size.
    - ``head_size``: hidden layer of each target's head.
    - ``dropout``: within encoders and heads.
    """

    usual: ClassVar[Mapping[str, Any]] = {
        "size": 256,
        "steps": 16,
        "num_heads": 1,
        "read_out": SELF_ATTENTION,
        "head_size": 128,
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
        _check(arguments)
        if JOINT in branches:
            raise ConfigError(f"found a modality {JOINT!r}, expected another name in fusion 'jmt'")
        self._steps, self._read_out = int(arguments["steps"]), arguments["read_out"]
        self.project = nn.ModuleDict(
            {name: nn.Linear(branch.feature_size, size) for name, branch in branches.items()}
        )
        self.stand_ins = nn.ParameterDict(
            {name: missing_token(size) for name in branches if name not in config.required}
        )
        self.join = nn.Linear(size * len(branches), size)
        streams = (*branches, JOINT)

        def encoder() -> PostNormBlock:
            return PostNormBlock(size, heads, drop, hidden=size, activation=nn.ReLU())

        self.encoders = nn.ModuleDict({name: encoder() for name in streams})
        self.cross = nn.ModuleDict(
            {name: nn.MultiheadAttention(size, heads, drop, batch_first=True) for name in streams}
        )
        self._pairs = tuple(permutations(streams, 2))
        if self._read_out == SELF_ATTENTION:
            self.mix = encoder()
            self.last = nn.MultiheadAttention(size, heads, drop, batch_first=True)
            width = size
        else:
            width = 2 * size
            self.mix_all = nn.Linear(size * len(self._pairs), width)
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, arguments["head_size"]),
                nn.ReLU(),
                nn.Dropout(drop),
                nn.Linear(arguments["head_size"], 1),
            )
            for _ in range(config.num_targets)
        )

    def forward(self, outputs: Mapping[str, BranchOutput], num_clips: int) -> Tensor:
        """Return (num_clips, targets) from the branches' outputs; see `Fusion`."""
        streams = {name: self._stream(name, outputs.get(name), num_clips) for name in self.project}
        streams[JOINT] = self.join(torch.cat(list(streams.values()), dim=-1))
        encoded = {name: self.encoders[name](steps, steps) for name, steps in streams.items()}
        found = [
            self._asked(encoded[asking], encoded[other], asking) for asking, other in self._pairs
        ]
        read = self._read(found)
        steps = torch.cat([head(read) for head in self.heads], dim=-1)
        return self.activated(steps.mean(dim=1))

    def _stream(self, name: str, output: BranchOutput | None, num_clips: int) -> Tensor:
        """Return the steps (num_clips, steps, D) of one modality."""
        own = None
        if output is not None:
            means = steps_of(output.features, output.num_frames, self._steps)
            own = nn.functional.normalize(self.project[name](means), dim=-1)
            if output.rows is None:
                return own
        token = self.stand_ins[name].repeat(self._steps)
        rows = None if output is None else output.rows
        whole = filled(token, None if own is None else own.flatten(1), rows, num_clips)
        return whole.view(num_clips, self._steps, -1)

    def _asked(self, asking: Tensor, other: Tensor, name: str) -> Tensor:
        found: Tensor = self.cross[name](asking, other, other, need_weights=False)[0]
        return found

    def _read(self, found: list[Tensor]) -> Tensor:
        """Return (B, steps, width) of what the streams found in each other, each (B, steps, D)."""
        if self._read_out == CONCATENATION:
            joined: Tensor = self.mix_all(torch.cat(found, dim=-1))
            return joined
        tokens = torch.stack(found, dim=2)
        flat = tokens.flatten(0, 1)
        within = self.mix(flat, flat)
        asked: Tensor = self.last(within, within, within, need_weights=False)[0]
        return asked.mean(dim=1).view(*tokens.shape[:2], -1)


def _check(arguments: Mapping[str, Any]) -> None:
    size, heads = arguments["size"], arguments["num_heads"]
    if size % heads:
        raise ConfigError(f"fusion.size is {size}, expected a multiple of num_heads, {heads}")
    if arguments["read_out"] not in (SELF_ATTENTION, CONCATENATION):
        raise ConfigError(
            f"fusion.read_out is {arguments['read_out']!r}, expected {SELF_ATTENTION!r} or "
            f"{CONCATENATION!r}"
        )
