"""What the processor multiplies; which attention kernels may run on a GPU."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from emi_model.devices import attention_of_any_shape, multiplies_int8_alone, processor


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx_vnni", True),
        ("fpu avx512f avx512_vnni", True),
        ("fpu avx512_vnni avx512_bf16", False),
        ("fpu avx2", False),
    ],
)
def test_int8_alone_is_read_from_the_processor_s_flags(
    tmp_path: Path, flags: str, expected: bool
) -> None:
    described = tmp_path / "cpuinfo"
    described.write_text(f"processor\t: 0\nmodel name\t: a\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    assert multiplies_int8_alone(described) == expected
    assert not multiplies_int8_alone(tmp_path / "missing")


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


def test_the_processor_s_name_is_that_of_the_first(tmp_path: Path) -> None:
    described = tmp_path / "cpuinfo"
    one = "cpu family\t: {}\nmodel\t\t: 17\nmodel name\t: A b\n\n"
    described.write_text(one.format(25) + one.format(26))
    assert processor(described) == "A b (cpu family 25, model 17)"
    assert processor(tmp_path / "missing") == (platform.processor() or platform.machine())
