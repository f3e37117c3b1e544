"""The numerics that are fast on a device."""

from __future__ import annotations

import torch

from emi_model.architecture.config import Numerics, Precision
from emi_model.devices import MIN_BF16_HIDDEN
from emi_model.errors import ConfigError


def numerics(precision: Precision, device: torch.device, hidden_size: int) -> Numerics:
    """Return what a precision means on a device.

    Args:
        precision: as requested; a named type is used even where it is slow.
        device: where the model runs.
        hidden_size: of the model's backbone.

    Raises:
        ConfigError: the precision is int8, and the device is not a CPU.
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
    """Return the type of the backbone's products; with int8, of those outside linear layers."""
    lower = chosen == "bf16" or (chosen == "int8" and multiplies_bf16())
    return torch.bfloat16 if lower else torch.float32


def multiplies_bf16() -> bool:
    """Return whether this processor has instructions that multiply bfloat16."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
