"""Linear maps whose weights are packed for oneDNN once; PyTorch packs them at every call.

The operators are those that PyTorch's own compiler uses (torch/_inductor/fx_passes). On one core a
packed product of bfloat16 is a sixth faster (RESULTS.md), a small one of float32 twice as fast.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

ROWS = 64
"""Number of rows that weights are packed for; other numbers are as correct and as fast."""

Product = Callable[[Tensor], Tensor]


def packed(weight: Tensor, bias: Tensor | None) -> Product:
    """Return the linear map of a weight (out, in) and a bias (out,), packed where possible.

    It maps rows (N, in) of the weight's type. Later changes to the weight have no effect.
    """
    if not _packs(weight):
        return lambda values: functional.linear(values, weight, bias)
    ready = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS)

    def product(values: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(values, ready, bias, "none", [], "")
        return out

    return product


def _packs(weight: Tensor) -> bool:
    has_mkldnn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if weight.device.type != "cpu" or not has_mkldnn:
        return False
    if weight.dtype == torch.bfloat16:
        supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return supported
    return weight.dtype == torch.float32
