"""Which of PyTorch's attention kernels may run; the cores and GPUs are tested where they count."""

from __future__ import annotations

import torch

from emi_model.devices import attention_of_any_shape


def test_attention_on_a_gpu_is_any_but_cudnn_s() -> None:
    kernels = torch.backends.cuda
    before = kernels.cudnn_sdp_enabled()
    with attention_of_any_shape("cuda"):
        assert not kernels.cudnn_sdp_enabled()
        assert kernels.flash_sdp_enabled()
        assert kernels.mem_efficient_sdp_enabled()
    assert kernels.cudnn_sdp_enabled() == before
    with attention_of_any_shape("cpu"):
        assert kernels.cudnn_sdp_enabled() == before
