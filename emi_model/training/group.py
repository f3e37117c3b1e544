"""Several processes that train one model as if they were one.

Each takes a share of every batch. Outputs are gathered, so that the loss is that of the whole
batch, also for losses that compare clips with each other; its gradients, taken in each process
for its own clips, add up to those of one process alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, distributed, nn

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

    def add_gradients(self, model: nn.Module) -> None:
        """Give every process the sum of the gradients of all."""

    def share_weights(self, model: nn.Module) -> None:
        """Give every process the weights of rank 0."""


class ProcessGroup(SingleProcess):
    """The processes of torch's default process group, which has been set up."""

    def __init__(self) -> None:
        """Find out who we are."""
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows (b, ...) of all processes; gradients flow through our own ones alone."""
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

    def add_gradients(self, model: nn.Module) -> None:
        """Give every process the sum of the gradients of all.

        A weight without a gradient anywhere (a layer that was dropped) is left without one, as
        one process alone would leave it.
        """
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        used = torch.tensor([float(w.grad is not None) for w in weights], device=weights[0].device)
        distributed.all_reduce(used)
        for weight, users in zip(weights, used.tolist(), strict=True):
            if users and weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        for bucket in _buckets(gradients):
            joined = torch.cat([gradient.flatten() for gradient in bucket])
            distributed.all_reduce(joined)
            parts = torch.split(joined, [gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def share_weights(self, model: nn.Module) -> None:
        """Give every process the weights of rank 0."""
        for weight in model.state_dict().values():
            distributed.broadcast(weight, src=0)


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    held = 0
    for gradient in gradients:
        bucket.append(gradient)
        held += gradient.numel()
        if held >= BUCKET_ELEMENTS:
            yield bucket
            bucket, held = [], 0
    if bucket:
        yield bucket
