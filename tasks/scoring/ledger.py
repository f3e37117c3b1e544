"""The ledger of a pass: which worker holds which clips, for when one of them dies."""

from __future__ import annotations

from typing import Any, NamedTuple

import ray

EXTRACT, SCORE = "extract", "score"
"""The stages."""


class Worker(NamedTuple):
    """A worker process of a stage.

    Attributes:
        stage: `EXTRACT` or `SCORE`.
        worker: its id in the cluster; process ids of two nodes may be equal.
    """

    stage: str
    worker: str


def this_worker(stage: str) -> Worker:
    """Return the worker process that this is."""
    return Worker(stage, ray.get_runtime_context().get_worker_id())


class Ledger:
    """Which clips each worker holds; lives beside the driver and outlives the workers."""

    def __init__(self) -> None:
        """Start with nothing held."""
        self._held: dict[Worker, list[str]] = {}
        self._scorers: list[Any] = []
        self._refusal: Exception | None = None

    def enlist(self, scorer: Any) -> None:
        """Note a scorer's actor handle."""
        self._scorers.append(scorer)

    def scorers(self) -> list[Any]:
        """Return the handles of all scorers of this pass."""
        return self._scorers

    def refuse(self, error: Exception) -> None:
        """Note why a worker cannot work at all, unless another has said so before."""
        self._refusal = self._refusal or error

    def refusal(self) -> Exception | None:
        """Return why a worker cannot work at all; None: none has said so."""
        return self._refusal

    def take(self, worker: Worker, clip_ids: list[str]) -> None:
        """Note that a worker is about to touch these clips."""
        self._held[worker] = clip_ids

    def give(self, worker: Worker) -> None:
        """Note that a worker is done with its clips."""
        self._held.pop(worker, None)

    def held(self, stage: str | None) -> list[str]:
        """Return the clips held by workers of a stage, or of both."""
        return [
            clip_id
            for worker, clip_ids in self._held.items()
            if stage in (None, worker.stage)
            for clip_id in clip_ids
        ]
