"""Variants that do not fit into memory at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from emi_model.attribution.encoded import in_parts
from emi_model.errors import OutOfMemory


def test_where_memory_does_not_suffice_parts_are_halved() -> None:
    def run(items: Any) -> list[int]:
        if len(items) > 2:
            raise MemoryError
        return [10 * item for item in items]

    assert in_parts(run, range(7)) == [10 * item for item in range(7)]

    def none(items: Any) -> list[int]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\nmore")

    with pytest.raises(OutOfMemory, match=r"CUDA out of memory\. Tried to allocate$"):
        in_parts(none, [1, 2])

    def broken(items: Any) -> list[int]:
        raise RuntimeError("another error")

    with pytest.raises(RuntimeError, match="another"):
        in_parts(broken, [1])
