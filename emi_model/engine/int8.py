"""Linear layers in int8 on a CPU: oneDNN's products, as PyTorch's quantized models use them.

Weights are rounded once, a scale an output (symmetric); inputs at every call, a scale a row, so
that a frame's rounding does not hang on its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LARGEST = 127
"""Integers from -127 to 127 are used; oneDNN wants inputs without a sign, moved up by `MOVE`."""

MOVE = 128
"""In two's complement another top bit; conversion to int8 and this are a fifth of the time of one
to uint8, and of the addition before it."""

SMALLEST_SCALE = 1e-12
"""A row or a weight of zeros has a scale, too."""


@dataclass(frozen=True)
class Int8Linear:
    """A linear layer whose product is in int8, its result in another type."""

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
        values = values.float()
        largest = values.abs().amax(1, keepdim=True).clamp_min_(SMALLEST_SCALE)
        rounded = (values * (LARGEST / largest)).round_().to(torch.int8)
        moved = rounded.view(torch.uint8).bitwise_xor_(MOVE)
        product = torch.ops.onednn.qlinear_pointwise(
            moved, 1.0, MOVE, self.weight, self.scales, self.zero_points,
            None, 1.0, 0, self.dtype, "none", [], "",
        )  # fmt: skip
        out: Tensor = torch.addcmul(self.bias, product, (largest / LARGEST).to(self.dtype))
        return out
