"""Norms, linear layers and convolutions of the engine, their weights laid out for one type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from emi_model.engine.packed_linear import Product, packed


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
    """A linear layer; its product takes rows (N, in) of ``dtype``."""

    product: Product
    dtype: torch.dtype

    @classmethod
    def of(cls, linear: nn.Linear, dtype: torch.dtype) -> Linear:
        """Take over a module's weights."""
        bias = None if linear.bias is None else linear.bias.detach().to(dtype)
        return cls(packed(linear.weight.detach().to(dtype), bias), dtype)

    def __call__(self, values: Tensor) -> Tensor:
        """Return (N, out) of values (N, in) of any type."""
        return self.product(values.to(self.dtype))


@dataclass(frozen=True)
class Conv:
    """One layer of the conv stack on frames (T, C): a product of matrices, norm, activation.

    Attributes:
        product: of rows (N, kernel x C): the frames that an output hears, side by side.
        kernel: taps.
        stride: frames.
    """

    product: Product
    kernel: int
    stride: int
    norm: Norm
    activation: Any

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype) -> Conv:
        """Take over the weights of a layer of the conv stack."""
        conv = layer.conv
        (kernel,), (stride,) = conv.kernel_size, conv.stride
        weight = conv.weight.detach().to(dtype).permute(0, 2, 1).flatten(1)  # (out, kernel x in)
        bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        norm = Norm.of(layer.layer_norm, dtype)
        return cls(packed(weight, bias), kernel, stride, norm, layer.activation)

    def __call__(self, frames: Tensor) -> Tensor:
        """Return (T', out) of contiguous frames (T, C)."""
        num_out = (len(frames) - self.kernel) // self.stride + 1
        channels = frames.shape[1]
        shape, steps = (num_out, self.kernel * channels), (self.stride * channels, 1)
        rows = frames.as_strided(shape, steps, frames.storage_offset())
        # where rows overlap they are copied: half as much again, and one product instead of two
        activated: Tensor = self.activation(self.norm(self.product(rows.contiguous())))
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
