"""Pictures resized as PIL does, in whole numbers, to the bit, on any device.

PIL's ``Image.resize`` weighs the pixels under a filter, whose weights are whole numbers of which
2^22 are one, row by row, and then column by column; it rounds to 8 bits after each. Products and
sums here are float64, in which these numbers are exact. PIL alone would keep a processor busy for
longer than a GPU takes to encode the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from emi_model.arrays import Doubles

ONE = 1 << 22

CUBIC = -0.5
"""The parameter of PIL's bicubic filter."""


def _sinc(x: float) -> float:
    return 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / 3) if -3 <= x < 3 else 0.0


def _bilinear(x: float) -> float:
    return max(0.0, 1 - abs(x))


def _bicubic(x: float) -> float:
    x = abs(x)
    if x < 1:
        return ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * CUBIC if x < 2 else 0.0


def _box(x: float) -> float:
    return float(-0.5 < x <= 0.5)


FILTERS: Mapping[int, tuple[Callable[[float], float], float]] = {
    1: (_lanczos, 3.0),
    2: (_bilinear, 1.0),
    3: (_bicubic, 2.0),
    4: (_box, 0.5),
}
"""Filters and their reach in pixels, by PIL's number."""


def resized_as_pil(pictures: Tensor, side: tuple[int, int], resample: int) -> Tensor:
    """Return pictures, uint8 (N, H, W, C), resized to ``side``, (height, width) in pixels."""
    height, width = side
    if width != pictures.shape[2]:
        table = _table(pictures.shape[2], width, resample, pictures.device)
        pictures = _rounded(torch.einsum("xw,nhwc->nhxc", table, pictures.double()))
    if height != pictures.shape[1]:
        table = _table(pictures.shape[1], height, resample, pictures.device)
        pictures = _rounded(torch.einsum("yh,nhwc->nywc", table, pictures.double()))
    return pictures


def grey(pictures: Tensor) -> Tensor:
    """Return the brightness, uint8 (N, H, W, 1), of RGB pictures, by ITU-R 601-2 as PIL has it."""
    parts = torch.tensor([19_595, 38_470, 7_471], device=pictures.device)
    return ((pictures.int() * parts).sum(-1, keepdim=True) + (1 << 15) >> 16).to(torch.uint8)


def _rounded(sums: Tensor) -> Tensor:
    return torch.floor((sums + ONE / 2) / ONE).clamp(0, 255).to(torch.uint8)


def _table(has: int, wants: int, resample: int, device: torch.device) -> Tensor:
    return torch.from_numpy(_weights(has, wants, resample)).to(device)


@lru_cache(maxsize=16)
def _weights(has: int, wants: int, resample: int) -> Doubles:
    """Return each new pixel's weights of the old ones, whole numbers (wants, has)."""
    function, reach = FILTERS[resample]
    scale = has / wants
    stretch = max(scale, 1.0)
    found = np.zeros((wants, has))
    for place in range(wants):
        centre = (place + 0.5) * scale
        first = max(0, int(centre - reach * stretch + 0.5))
        last = min(has, int(centre + reach * stretch + 0.5))
        inverse = 1 / stretch
        each = [function((pixel - centre + 0.5) * inverse) for pixel in range(first, last)]
        total = 0.0
        for weight in each:  # in PIL's order: the last bit counts
            total += weight
        found[place, first:last] = [
            math.trunc(weight * (1 / total) * ONE + math.copysign(0.5, weight)) for weight in each
        ]
    return found
