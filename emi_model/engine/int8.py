"""Linear layers in int8 on a CPU: oneDNN's products, as PyTorch's quantized models use them.

Weights are rounded once, with a (symmetric) scale for each output; inputs at every call, with a
scale for each row, so that a frame's rounding does not depend on other frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LARGEST = 127
"""Integers from -127 to 127 are used; oneDNN takes unsigned inputs, so `MOVE` is added."""

MOVE = 128
"""In two's complement this flips the top bit. That, after a conversion to int8, takes a fifth of
the time of an addition before a conversion to uint8."""

SMALLEST_SCALE = 1e-12
"""Of rows of zeros, so that no division by zero occurs."""


@dataclass(frozen=True)
class Int8Linear:
    """A linear layer that multiplies in int8 and returns another type."""

    weight: Tensor
    scales: Tensor
    zero_points: Tensor
    bias: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, linear: nn.Linear, dtype: torch.dtype) -> Int8Linear:
        """Round a module's weights; results are of ``dtype``, bfloat16 or float32."""
        weight = linear.weight.detach().float()
        scales = (weight.abs().amax(1) / LARGEST).clamp_min(SMALLEST_SCALE)
        rounded = (weight / scales[:, None]).round().to(torch.int8)
        ready = torch.ops.onednn.qlinear_prepack(rounded, None)
        bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.detach()
        zeros = torch.zeros(len(weight), dtype=torch.int64)
        return cls(ready, scales, zeros, bias.to(dtype), dtype)

    def __call__(self, values: Tensor) -> Tensor:
        """Return (N, out) of values (N, in)."""
        ends = values.amax(1, keepdim=True), values.amin(1, keepdim=True)
        largest = torch.maximum(ends[0], -ends[1]).float().clamp_min_(SMALLEST_SCALE)
        whole = values.float()
        scales = LARGEST / largest
        scaled = whole * scales if whole is values else whole.mul_(scales)  # a copy is ours
        rounded = scaled.round_().to(torch.int8)
        moved = rounded.view(torch.uint8).bitwise_xor_(MOVE)
        product = torch.ops.onednn.qlinear_pointwise(
            moved, 1.0, MOVE, self.weight, self.scales, self.zero_points,
            None, 1.0, 0, self.dtype, "none", [], "",
        )  # fmt: skip
        out: Tensor = torch.addcmul(self.bias, product, (largest / LARGEST).to(self.dtype))
        return out
