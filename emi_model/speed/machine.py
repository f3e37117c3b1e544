"""The machine that a model runs on: what it is, and how fast it multiplies matrices at best."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from emi_model.architecture.config import Numerics
from emi_model.devices import available_cores, processor
from emi_model.engine.packed_linear import packed

SIZES = {
    "cpu": ((1024, 1024, 1024), (1600, 1024, 2048)),
    "cuda": ((4096, 4096, 4096), (8192, 8192, 8192), (16384, 4096, 4096), (16384, 16384, 8192)),
}
"""Rows, inner size and columns of the products that are timed, by kind of device."""

MIN_REPEATS = 3


@dataclass(frozen=True)
class Machine:
    """The machine that figures were measured on.

    Attributes:
        processor: name of the CPU.
        cores: number that this process may use.
        gpu: name of the GPU, None on a CPU.
        torch: version of PyTorch.
        system: operating system and its release.
    """

    processor: str
    cores: int
    gpu: str | None
    torch: str
    system: str


@dataclass(frozen=True)
class Peak:
    """The fastest product of matrices.

    Attributes:
        numerics: type of the factors.
        flops_per_second: highest rate, operations a second.
        median_flops_per_second: median rate of the same products; far lower if other programs use
            the machine, and then all figures are too low.
        shape: rows, inner size and columns of the product.
        threads: PyTorch's, on a CPU.
    """

    numerics: str
    flops_per_second: float
    median_flops_per_second: float
    shape: tuple[int, int, int]
    threads: int


def this_machine(device: torch.device) -> Machine:
    """Return what this machine is."""
    return Machine(
        processor=processor(),
        cores=available_cores(),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        torch=torch.__version__,
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
    )


def matrix_peak(device: torch.device, numerics: Numerics | str, seconds: float) -> Peak:
    """Time large products of matrices and return the fastest.

    Args:
        device: that multiplies.
        numerics: ``fp32`` (without TF32), ``bf16``, or ``int8`` into int32.
        seconds: in all, about; each size gets three products at least, in each way.
    """
    sizes = SIZES.get(device.type, SIZES["cpu"])
    rates = {shape: _rates(device, numerics, shape, seconds / len(sizes)) for shape in sizes}
    shape = max(rates, key=lambda each: max(rates[each]))
    found = rates[shape]
    return Peak(numerics, max(found), median(found), shape, torch.get_num_threads())


@torch.inference_mode()
def _rates(
    device: torch.device, numerics: str, shape: tuple[int, int, int], seconds: float
) -> list[float]:
    """Return the operations a second of several products of one shape, the fastest way."""
    ways = ways_to_multiply(device, numerics, shape)
    found = []
    for multiply in ways:
        multiply()  # the first call chooses the kernel
        _wait(device)
        ends, rates = time.perf_counter() + seconds / len(ways), list[float]()
        while len(rates) < MIN_REPEATS or time.perf_counter() < ends:
            started = time.perf_counter()
            multiply()
            _wait(device)
            rates.append(2 * math.prod(shape) / (time.perf_counter() - started))
        found.append(rates)
    return max(found, key=max)


def ways_to_multiply(
    device: torch.device, numerics: str, shape: tuple[int, int, int]
) -> list[Callable[[], Tensor]]:
    """Return products of the same two matrices: rows, inner size and columns are the shape.

    On a CPU PyTorch's own may be a fifth slower in float32 than that of a weight packed before,
    which the engine uses (RESULTS.md); on other processors it may be the faster one.
    """
    rows, inner, columns = shape
    if numerics == "int8":
        left = torch.randint(-100, 100, (rows, inner), dtype=torch.int8, device=device)
        right = torch.randint(-100, 100, (columns, inner), dtype=torch.int8, device=device).T
        return [lambda: torch._int_mm(left, right)]
    dtype = torch.float32 if numerics == "fp32" else torch.bfloat16
    one = torch.randn((rows, inner), device=device).to(dtype)
    weight = torch.randn((columns, inner), device=device).to(dtype)
    plain = [lambda: torch.nn.functional.linear(one, weight)]
    if device.type != "cpu":
        return plain
    product = packed(weight, None)
    return [*plain, lambda: product(one)]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
