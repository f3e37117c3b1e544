"""Norms, linear layers and convolutions of the engine, their weights laid out for one type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Norm:
    """Layer normalisation."""

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, norm: nn.LayerNorm, dtype: torch.dtype = torch.float32) -> Norm:
        """Take over a module's weights."""
        return cls(norm.weight.detach().to(dtype), norm.bias.detach().to(dtype), norm.eps)

    def __call__(self, values: Tensor) -> Tensor:
        """Return values (..., C) normalised."""
        return functional.layer_norm(values, values.shape[-1:], self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class Linear:
    """A linear layer."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, linear: nn.Linear, dtype: torch.dtype) -> Linear:
        """Take over a module's weights."""
        bias = None if linear.bias is None else linear.bias.detach().to(dtype)
        return cls(linear.weight.detach().to(dtype), bias)

    def __call__(self, values: Tensor) -> Tensor:
        """Return (N, out) of values (N, in) of any type."""
        return functional.linear(values.to(self.weight.dtype), self.weight, self.bias)


@dataclass(frozen=True)
class Conv:
    """One layer of the conv stack on frames (T, C): products of matrices, norm, activation.

    Attributes:
        blocks: (taps x C, out) each: the taps that lie within one stride.
        bias: (out,) or None.
        kernel: taps.
        stride: frames.
    """

    blocks: tuple[Tensor, ...]
    bias: Tensor | None
    kernel: int
    stride: int
    norm: Norm
    activation: Any

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype) -> Conv:
        """Take over the weights of a layer of the conv stack."""
        conv = layer.conv
        (kernel,), (stride,) = conv.kernel_size, conv.stride
        taps = conv.weight.detach().to(dtype).permute(2, 1, 0)  # (kernel, in, out)
        # A product with one column a tap is too thin: samples are laid out tap by tap instead.
        width = kernel if conv.in_channels == 1 else stride
        blocks = tuple(block.flatten(0, 1).contiguous() for block in taps.split(width))
        bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        norm = Norm.of(layer.layer_norm, dtype)
        return cls(blocks, bias, kernel, stride, norm, layer.activation)

    def __call__(self, frames: Tensor) -> Tensor:
        """Return (T', out) of contiguous frames (T, C)."""
        num_out = (len(frames) - self.kernel) // self.stride + 1
        channels = frames.shape[1]
        hop = self.stride * channels
        out = frames.new_zeros(()) if self.bias is None else self.bias
        for number, block in enumerate(self.blocks):
            start = frames.storage_offset() + number * hop
            rows = frames.as_strided((num_out, len(block)), (hop, 1), start)
            if len(block) > hop:  # rows overlap: no product reads those
                rows = rows.contiguous()
            out = torch.addmm(out, rows, block) if number == 0 else out.addmm_(rows, block)
        activated: Tensor = self.activation(self.norm(out))
        return activated


@dataclass(frozen=True)
class Positional:
    """The positional convolution, its weight norm folded, over clips with zeros between them."""

    weight: Tensor
    bias: Tensor | None
    groups: int
    activation: Any

    @classmethod
    def of(cls, embedding: Any, dtype: torch.dtype) -> Positional:
        """Take over the weights of the positional convolution."""
        conv = embedding.conv
        bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        return cls(conv.weight.detach().to(dtype), bias, conv.groups, embedding.activation)

    def __call__(self, features: Tensor, num_frames: Sequence[int]) -> Tensor:
        """Return float32 (sum of F, hidden) of features (sum of F, hidden)."""
        gap = self.weight.shape[-1] // 2
        places = gap + spaced(num_frames, gap).to(features.device)
        padded = features.new_zeros(
            (sum(num_frames) + (len(num_frames) + 1) * gap, features.shape[1])
        )
        padded[places] = features
        convolved = functional.conv1d(padded.T[None], self.weight, self.bias, groups=self.groups)
        embedded: Tensor = self.activation(convolved[0].T[places - gap])
        return embedded.float()


def spaced(num_frames: Sequence[int], gap: int) -> Tensor:
    """Return where frames lie, int64 (sum of F,), with ``gap`` places behind each clip."""
    frames = torch.tensor(num_frames)
    shifts = torch.repeat_interleave(gap * torch.arange(len(num_frames)), frames)
    return torch.arange(len(shifts)) + shifts
