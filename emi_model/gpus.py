"""The GPUs of this machine that PyTorch can use."""

from __future__ import annotations

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
