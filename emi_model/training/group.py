"""Several processes that train one model as if they were one.

Each process takes a share of every batch. The outputs are gathered, so that the loss is that of
the whole batch, also for losses that compare clips with each other. Each process takes the
gradients of this loss for its own clips; their sum equals the gradients of a single process.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

FLOAT32_BYTES = 4
BUCKET_ELEMENTS = 2**23
"""Gradients that are added up in one message: 32 MB of float32."""


class SingleProcess:
    """A group of one process.

    Attributes:
        rank: of this process, 0 to size - 1.
        size: number of processes.
    """

    rank = 0
    size = 1

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows (b, ...) of all processes, in the order of their ranks."""
        return rows

    def gather_objects(self, found: list[str]) -> list[str]:
        """Return the texts of all processes."""
        return found

    def replicate(self, module: nn.Module) -> nn.Module:
        """Return the module with the weights of rank 0; backward takes the mean over the group."""
        return module


class ProcessGroup(SingleProcess):
    """The processes of torch's default process group, which has been set up."""

    def __init__(self) -> None:
        """Read this process's rank and the group's size."""
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows (b, ...) of all processes; only this process's own rows carry gradients.

        Written by hand: torch's public differentiable all_gather is deprecated and needs the same
        number of rows in every process.
        """
        counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(self.size)]
        own = torch.tensor([len(rows)], dtype=torch.int64, device=rows.device)
        distributed.all_gather(counts, own)
        longest = int(max(counts))
        padded = rows.detach().new_zeros((longest, *rows.shape[1:]))
        padded[: len(rows)] = rows.detach()
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(parts, padded)
        whole = [part[: int(count)] for part, count in zip(parts, counts, strict=True)]
        whole[self.rank] = rows
        return torch.cat(whole)

    def gather_objects(self, found: list[str]) -> list[str]:
        """Return the texts of all processes."""
        parts: list[list[str] | None] = [None] * self.size
        distributed.all_gather_object(parts, found)
        return [text for part in parts if part is not None for text in part]

    def replicate(self, module: nn.Module) -> nn.Module:
        """Return the module with the weights of rank 0; backward takes the mean over the group.

        A weight without a gradient anywhere (a layer that was dropped) is left without one, as
        one process alone would leave it.
        """
        return DistributedDataParallel(
            module,
            bucket_cap_mb=BUCKET_ELEMENTS * FLOAT32_BYTES / 2**20,
            find_unused_parameters=True,
            gradient_as_bucket_view=True,
        )
