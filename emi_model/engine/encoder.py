"""The engine's encoder layers: attention within each clip, the rest frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from emi_model.audio.batching import MAX_PADDING_SHARE, padding_share
from emi_model.engine.int8 import Int8Linear
from emi_model.engine.layers import Linear, Norm, whole_numbers

MAX_PLAIN_FRAMES = 2_048
"""Frames (41 s) up to which a clip's attention weights are one matrix, on a CPU in bfloat16; in
float32 the fused kernel is faster, a fourth less time (RESULTS.md)."""

CHUNK_ROWS = {"cpu": 256, "cuda": 2**31 - 1}
"""Frames that pass a layer at once, except its attention: on a CPU the result between the products
of a feed-forward, 2 MB in bfloat16, stays in the caches. In int8 it saves a fourth of the time."""

MAX_FLASH_HEAD_SIZE = 256
MIN_FLASH_CAPABILITY = (8, 0)


@dataclass(frozen=True)
class _Group:
    """Neighbouring clips that share one attention call.

    Attributes:
        places: (B, F), positions of their frames in the stream; arbitrary after a clip's end.
        mask: bool (B, 1, 1, F), true for a clip's own frames; None if all are.
        own: indices, among the B x F frames, of those that belong to a clip.
    """

    places: Tensor
    mask: Tensor | None
    own: Tensor

    @classmethod
    def of(cls, first: int, frames: Sequence[int], device: torch.device) -> _Group:
        lengths = torch.tensor(frames)
        steps = torch.arange(int(lengths.max()))
        is_own = steps < lengths[:, None]
        starts = first + lengths.cumsum(0) - lengths
        places = (starts[:, None] + steps) * is_own
        mask = None if bool(is_own.all()) else is_own[:, None, None].to(device)
        own = is_own.flatten().nonzero().squeeze(1)
        return cls(places.to(device), mask, own.to(device))


@dataclass(frozen=True)
class Clips:
    """The positions of clips in the stream.

    Attributes:
        num_frames: of each.
        groups: clips that share an attention call; None where each has its own, or all share one.
        bounds: int32 (clips + 1,), where each begins and the last one ends, on the device; None
            where not all share one call.
    """

    num_frames: list[int]
    groups: list[_Group] | None = None
    bounds: Tensor | None = None

    @classmethod
    def alone(cls, num_frames: Sequence[int]) -> Clips:
        """Plan an attention call for each clip: the fastest on a CPU (RESULTS.md)."""
        return cls(list(num_frames))

    @classmethod
    def at_once(cls, num_frames: Sequence[int], device: torch.device) -> Clips:
        """Plan one call of FlashAttention for all clips, given where each ends."""
        bounds = whole_numbers([0, *accumulate(num_frames)], device)
        return cls(list(num_frames), bounds=bounds.int())

    @classmethod
    def together(cls, num_frames: Sequence[int], device: torch.device) -> Clips:
        """Plan a call for neighbouring clips with little padding: a GPU needs few calls."""
        groups, first, begin = [], 0, 0
        for end in range(1, len(num_frames) + 1):
            frames = num_frames[begin:end]
            is_last = end == len(num_frames)
            if is_last or padding_share(num_frames, [range(begin, end + 1)]) > MAX_PADDING_SHARE:
                groups.append(_Group.of(first, frames, device))
                first, begin = first + sum(frames), end
        return cls(list(num_frames), groups=groups)


@dataclass(frozen=True)
class Layer:
    """One layer of the encoder: attention within each clip, feed-forward frame by frame."""

    attention_norm: Norm
    qkv: Linear | Int8Linear
    out: Linear | Int8Linear
    heads: int
    head_size: int
    norm: Norm
    wide: Linear | Int8Linear
    narrow: Linear | Int8Linear
    activation: Any
    norm_first: bool

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype, *, int8: bool) -> Layer:
        """Convert the weights of a layer; the weights of queries are multiplied by their scale."""
        linear = Int8Linear.of if int8 else Linear.of
        attention, feed = layer.attention, layer.feed_forward
        return cls(
            attention_norm=Norm.of(layer.layer_norm),
            qkv=linear(_joined(attention), dtype),
            out=linear(attention.out_proj, dtype),
            heads=attention.num_heads,
            head_size=attention.head_dim,
            norm=Norm.of(layer.final_layer_norm),
            wide=linear(feed.intermediate_dense, dtype),
            narrow=linear(feed.output_dense, dtype),
            activation=feed.intermediate_act_fn,
            norm_first=type(layer).__name__.endswith("StableLayerNorm"),
        )

    def clips(self, num_frames: Sequence[int], device: torch.device) -> Clips:
        """Return the plan of attention calls that is fastest on a device."""
        if device.type == "cpu":
            return Clips.alone(num_frames)
        if has_flash_attention(device, self.qkv.dtype, self.head_size):
            return Clips.at_once(num_frames, device)
        return Clips.together(num_frames, device)

    def __call__(self, hidden: Tensor, clips: Clips) -> None:
        """Apply this layer to hidden states, float32 (N, hidden), in place.

        All steps except attention process some frames at a time.
        """
        num_rows = CHUNK_ROWS[hidden.device.type]
        norm = self.attention_norm if self.norm_first else _unchanged
        chunks = torch.split(hidden, num_rows)
        found = self._attend(torch.cat([self.qkv(norm(rows)) for rows in chunks]), clips)
        for rows, attended in zip(chunks, torch.split(found, num_rows), strict=True):
            rows += self.out(attended)
            if self.norm_first:
                rows += self._feed_forward(self.norm(rows))
            else:
                rows.copy_(self.attention_norm(rows))
                rows += self._feed_forward(rows)
                rows.copy_(self.norm(rows))

    def _feed_forward(self, hidden: Tensor) -> Tensor:
        return self.narrow(self.activation(self.wide(hidden)))

    def _attend(self, qkv: Tensor, clips: Clips) -> Tensor:
        if clips.bounds is not None:
            return self._attend_at_once(qkv, clips.bounds, max(clips.num_frames))
        if clips.groups is not None:
            return torch.cat([self._attend_together(qkv, group) for group in clips.groups])
        return torch.cat([self._attend_alone(clip) for clip in torch.split(qkv, clips.num_frames)])

    def _attend_at_once(self, qkv: Tensor, bounds: Tensor, longest: int) -> Tensor:
        """Return the attention (sum of F, hidden) of all clips."""
        # imported here: it loads PyTorch's compiler, which takes longer than PyTorch itself
        from torch.nn.attention.varlen import varlen_attn

        query, key, value = qkv.view(len(qkv), 3, self.heads, -1).unbind(1)
        found = varlen_attn(query, key, value, bounds, bounds, longest, longest, scale=1.0)
        assert isinstance(found, Tensor), "a tuple is returned only on request"
        return found.flatten(1)

    def _attend_together(self, qkv: Tensor, group: _Group) -> Tensor:
        """Return the attention (sum of F, hidden) of one group's clips."""
        num_clips, frames = group.places.shape
        query, key, value = (
            qkv[group.places].view(num_clips, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )
        found = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=group.mask, scale=1.0
        )
        return found.transpose(1, 2).flatten(0, 1).flatten(1)[group.own]

    def _attend_alone(self, qkv: Tensor) -> Tensor:
        """Return one clip's attention (F, hidden) of its queries, keys, values (F, 3 x hidden)."""
        frames = len(qkv)
        # one copy; without it the products would make three, that of the keys strided
        query, key, value = qkv.view(frames, 3, self.heads, -1).permute(1, 2, 0, 3).contiguous()
        if frames > MAX_PLAIN_FRAMES or qkv.dtype == torch.float32:
            found = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        else:
            # On a CPU in bfloat16 faster than the fused kernel (RESULTS.md).
            logits = torch.bmm(query, key.transpose(1, 2))
            weights = torch.softmax(logits, -1)  # summed in float32 whatever the type
            found = torch.bmm(weights, value)
        return found.transpose(0, 1).reshape(frames, -1)


def has_flash_attention(device: torch.device, dtype: torch.dtype, head_size: int) -> bool:
    """Return whether a device has FlashAttention for clips laid end to end."""
    return (
        device.type == "cuda"
        and dtype in (torch.bfloat16, torch.float16)
        and head_size % 8 == 0
        and head_size <= MAX_FLASH_HEAD_SIZE
        and torch.cuda.get_device_capability(device) >= MIN_FLASH_CAPABILITY
    )


def _unchanged(values: Tensor) -> Tensor:
    return values


def _joined(attention: Any) -> nn.Linear:
    """Return one linear layer that computes queries, keys and values."""
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    scales = (attention.scaling, 1.0, 1.0)
    layer = nn.Linear(parts[0].in_features, sum(part.out_features for part in parts))
    for name in ("weight", "bias"):
        values = [
            getattr(part, name).detach() * scale for part, scale in zip(parts, scales, strict=True)
        ]
        setattr(layer, name, nn.Parameter(torch.cat(values), requires_grad=False))
    return layer
