"""The cores of this machine that this process may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DEVICES = ("nvidia*", "nvhost*", "nvgpu*", "kfd", "dxg")
"""Files in /dev where there is a GPU: NVIDIA's, also on its boards, AMD's, and Windows'."""


def available_gpus() -> int:
    """Return their number; PyTorch takes a second to load: it is asked only if there may be one."""
    if sys.platform == "linux" and not any(any(Path("/dev").glob(name)) for name in DEVICES):
        return 0
    import torch

    return torch.cuda.device_count()


def available_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
