"""Which numerics a device does fast."""

from __future__ import annotations

import torch

from emi_model.architecture.config import Numerics, Precision
from emi_model.errors import ConfigError

MIN_BF16_HIDDEN = 512
"""Hidden size from which bfloat16 pays: smaller models are faster read than multiplied, and have
fewer terms over which roundings even out."""


def numerics(precision: Precision, device: torch.device, hidden_size: int) -> Numerics:
    """Return what a precision means on a device.

    Args:
        precision: as asked for; a type asked for by name is taken, also where it is slow.
        device: where the model runs.
        hidden_size: of the model's backbone.

    Raises:
        ConfigError: int8 is asked for, and the device is not a CPU.
    """
    if precision == "int8" and device.type != "cpu":
        raise ConfigError(
            f"precision is int8, but the model runs on {device.type}: int8 is for CPUs, take bf16"
        )
    if precision != "auto":
        return precision
    if hidden_size < MIN_BF16_HIDDEN:
        return "fp32"
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if multiplies_bf16() else "fp32"


def product_dtype(chosen: Numerics) -> torch.dtype:
    """Return the type of the backbone's products; for int8 that of those beside the linear ones."""
    lower = chosen == "bf16" or (chosen == "int8" and multiplies_bf16())
    return torch.bfloat16 if lower else torch.float32


def multiplies_bf16() -> bool:
    """Tell whether this processor has instructions for products in bfloat16, not only a format."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
