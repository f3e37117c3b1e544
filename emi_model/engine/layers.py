"""Norms, linear layers and convolutions of the engine, with weights converted to one type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from emi_model.engine.packed_linear import Product, packed

MIN_CHANNELS = 64
"""Channels of a convolution from which two products are faster on a GPU."""

MIN_GROUP_CHANNELS = 16
"""Channels of a group from which on a CPU convolves groups in bfloat16: with 8 and fewer the result
was wrong, not merely rounded, on an Intel processor with AMX (PyTorch 2.11; RESULTS.md)."""

BLOCK_FRAMES = 16
"""Frames that a GPU's positional convolution computes at once."""


@dataclass(frozen=True)
class Norm:
    """Layer normalisation."""

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, norm: nn.LayerNorm, dtype: torch.dtype = torch.float32) -> Norm:
        """Convert a module's weights."""
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
        """Convert a module's weights."""
        bias = None if linear.bias is None else linear.bias.detach().to(dtype)
        return cls(packed(linear.weight.detach().to(dtype), bias), dtype)

    def __call__(self, values: Tensor) -> Tensor:
        """Return (N, out) of values (N, in) of any type."""
        return self.product(values.to(self.dtype))


@dataclass(frozen=True)
class Conv:
    """One layer of the conv stack on frames (T, C): a matrix product, norm, activation.

    Attributes:
        product: of rows (N, kernel x C): the frames that an output depends on, side by side.
        overlap: weights ((kernel - stride) x C, out) of the taps whose frames the next output also
            depends on, where these have a product of their own; else None.
        kernel: taps.
        stride: frames.
    """

    product: Product
    overlap: Tensor | None
    kernel: int
    stride: int
    norm: Norm
    activation: Any

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype) -> Conv:
        """Convert the weights of a layer of the conv stack."""
        conv = layer.conv
        (kernel,), (stride,) = conv.kernel_size, conv.stride
        weight = conv.weight.detach().to(dtype).permute(0, 2, 1).flatten(1)  # (out, kernel x in)
        bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        norm = Norm.of(layer.layer_norm, dtype)
        overlap = None
        if takes_two_products(weight.device, conv.in_channels, kernel, stride):
            own = stride * conv.in_channels
            overlap, weight = weight[:, own:].T.contiguous(), weight[:, :own].contiguous()
        return cls(packed(weight, bias), overlap, kernel, stride, norm, layer.activation)

    def __call__(self, frames: Tensor) -> Tensor:
        """Return (T', out) of contiguous frames (T, C)."""
        if self.overlap is None:
            # contiguous() copies rows that overlap
            found = self.product(self._rows(frames, 0, self.kernel).contiguous())
        else:
            found = self.product(self._rows(frames, 0, self.stride))
            rest = self._rows(frames, self.stride, self.kernel)
            found = torch.addmm(found, rest, self.overlap)
        activated: Tensor = self.activation(self.norm(found))
        return activated

    def _rows(self, frames: Tensor, first: int, end: int) -> Tensor:
        """Return the input of each output's taps from ``first`` to ``end``; a view."""
        num_out = (len(frames) - self.kernel) // self.stride + 1
        channels = frames.shape[1]
        return frames.as_strided(
            (num_out, (end - first) * channels),
            (self.stride * channels, 1),
            frames.storage_offset() + first * channels,
        )


def takes_two_products(device: torch.device, channels: int, kernel: int, stride: int) -> bool:
    """Return whether the taps that overlap the next output's get a product of their own.

    On a GPU copying rows that overlap takes longer than the product (RESULTS.md); on a CPU one
    product is faster.
    """
    return device.type == "cuda" and channels >= MIN_CHANNELS and stride < kernel <= 2 * stride


@dataclass(frozen=True)
class Positional:
    """The positional convolution, weight norm folded in, over clips with zeros between them."""

    convolve: Product
    taps: int
    activation: Any

    @classmethod
    def of(cls, embedding: Any, dtype: torch.dtype) -> Positional:
        """Convert the weights of the positional convolution."""
        conv = embedding.conv
        weight = conv.weight.detach().to(dtype)
        bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        make = in_blocks if weight.device.type == "cuda" else as_it_is
        return cls(make(weight, bias, conv.groups), weight.shape[-1], embedding.activation)

    def __call__(self, features: Tensor, num_frames: Sequence[int]) -> Tensor:
        """Return float32 (sum of F, hidden) of features (sum of F, hidden)."""
        gap = self.taps // 2
        places = gap + spaced(num_frames, gap, features.device)
        padded = features.new_zeros(
            (sum(num_frames) + (len(num_frames) + 1) * gap, features.shape[1])
        )
        padded[places] = features
        embedded: Tensor = self.activation(self.convolve(padded)[places - gap])
        return embedded.float()


def as_it_is(weight: Tensor, bias: Tensor | None, groups: int) -> Product:
    """Return a convolution over time of frames (T, C), without padding, as PyTorch computes it.

    Narrow groups are computed in float32, see `MIN_GROUP_CHANNELS`.
    """
    if weight.shape[1] < MIN_GROUP_CHANNELS:
        weight, bias = weight.float(), None if bias is None else bias.float()

    def convolve(frames: Tensor) -> Tensor:
        values = frames.to(weight.dtype).T[None]
        return functional.conv1d(values, weight, bias, groups=groups)[0].T

    return convolve


def in_blocks(weight: Tensor, bias: Tensor | None, groups: int) -> Product:
    """Return the same convolution as matrix products, one a group, of blocks of frames.

    A block of `BLOCK_FRAMES` outputs shares its inputs. This takes an eighth more operations, and
    on a GPU three fifths of the time of cuDNN's convolution (RESULTS.md).

    Args:
        weight: (C, C / groups, taps).
        bias: (C,).
        groups: of channels.
    """
    width, taps = weight.shape[1], weight.shape[2]
    reach = BLOCK_FRAMES + taps - 1
    # of each group: from all input frames of a block to each of its output frames
    matrices = weight.new_zeros(groups, reach, width, BLOCK_FRAMES, width)
    turned = weight.view(groups, width, width, taps).permute(0, 3, 2, 1)
    for frame in range(BLOCK_FRAMES):
        matrices[:, frame : frame + taps, :, frame] = turned
    matrices = matrices.view(groups, reach * width, BLOCK_FRAMES * width)

    def convolve(frames: Tensor) -> Tensor:
        num_out = len(frames) - taps + 1
        blocks = -(-num_out // BLOCK_FRAMES)
        whole = functional.pad(frames, (0, 0, 0, blocks * BLOCK_FRAMES - num_out))
        grouped = whole.view(len(whole), groups, width).transpose(0, 1).contiguous()
        rows = grouped.as_strided(
            (groups, blocks, reach * width), (grouped.stride(0), BLOCK_FRAMES * width, 1)
        )
        found = torch.bmm(rows.contiguous(), matrices).view(groups, -1, width)
        out = found.transpose(0, 1).flatten(1)[:num_out]
        return out if bias is None else out + bias

    return convolve


def spaced(num_frames: Sequence[int], gap: int, device: torch.device) -> Tensor:
    """Return the positions of frames, int64 (sum of F,), with a gap of ``gap`` after each clip."""
    shifts = torch.repeat_interleave(
        gap * torch.arange(len(num_frames), device=device),
        whole_numbers(num_frames, device),
        output_size=sum(num_frames),
    )
    return torch.arange(len(shifts), device=device) + shifts


def whole_numbers(values: Sequence[int], device: torch.device) -> Tensor:
    """Return int64 (N,) on a device, without waiting for earlier work of a GPU."""
    numbers = torch.tensor(values, dtype=torch.int64)
    return numbers.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else numbers
