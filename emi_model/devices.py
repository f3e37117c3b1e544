"""The cores and GPUs of this machine that this process may use, and how."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEVICES = ("nvidia*", "nvhost*", "nvgpu*", "kfd", "dxg")
"""Files in /dev of a machine with a GPU: NVIDIA's, its boards', AMD's, and those of WSL."""

MIN_BF16_HIDDEN = 512
"""Hidden size of a backbone from which bfloat16 or int8 is worth it: smaller models gain little
speed, and have fewer terms over which rounding errors average out."""

USUAL_LANES = 2
"""Threads that score clips of their own where nobody has tried other numbers: on two cores a tenth
faster than one with two of PyTorch's threads (`emi_model.lanes`)."""

PROCESSOR = Path("/proc/cpuinfo")
"""Where Linux describes the processor."""

INT8_FLAGS = {"avx512_vnni", "avx_vnni"}
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
"""Names there of the instructions that multiply these types."""


def multiplies_int8_alone(described: Path = PROCESSOR) -> bool:
    """Return whether this processor multiplies int8 but not bfloat16, as far as Linux says so."""
    flags = set(_described(described).get("flags", "").split())
    return bool(flags & INT8_FLAGS) and not flags & BFLOAT16_FLAGS


def processor(described: Path = PROCESSOR) -> str:
    """Return the name of this machine's processor, with its family and model as far as known.

    In a virtual machine several kinds have one name.
    """
    found = _described(described)
    name = found.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{key} {found[key]}" for key in ("cpu family", "model") if key in found]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _described(described: Path) -> dict[str, str]:
    """Return what Linux says of the first processor; elsewhere nothing."""
    if not described.is_file():
        return {}
    first = described.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def available_gpus() -> int:
    """Return the number of GPUs; PyTorch, slow to load, is asked only if a device file exists."""
    if sys.platform == "linux" and not any(any(Path("/dev").glob(name)) for name in DEVICES):
        return 0
    import torch

    return torch.cuda.device_count()


def available_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def attention_of_any_shape(device: str) -> Iterator[None]:
    """Let a GPU compute attention without cuDNN, which plans anew for every shape of a batch.

    No two batches of clips have the same shape, and a plan takes longer than the attention.

    Args:
        device: type of the device; on others than ``cuda`` nothing changes.
    """
    if device != "cuda":
        yield
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(kernels):
        yield
