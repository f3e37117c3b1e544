"""The ledger of a pass: which clips each worker has, to find the suspects if one dies."""

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
    """Return this worker process."""
    return Worker(stage, ray.get_runtime_context().get_worker_id())


class Ledger:
    """The clips of each worker; an actor on the driver's node that outlives the workers."""

    def __init__(self) -> None:
        """Start without clips."""
        self._clips: dict[Worker, list[str]] = {}
        self._scorers: list[Any] = []
        self._refusal: Exception | None = None

    def enlist(self, scorer: Any) -> None:
        """Store a scorer's actor handle."""
        self._scorers.append(scorer)

    def scorers(self) -> list[Any]:
        """Return the handles of all scorers of this pass."""
        return self._scorers

    def refuse(self, error: Exception) -> None:
        """Store the first error for which a worker cannot work at all."""
        self._refusal = self._refusal or error

    def refusal(self) -> Exception | None:
        """Return the error for which a worker cannot work at all, or None."""
        return self._refusal

    def take(self, worker: Worker, clip_ids: list[str]) -> None:
        """Record that a worker is about to work on these clips."""
        self._clips[worker] = clip_ids

    def give(self, worker: Worker) -> None:
        """Record that a worker is done with its clips."""
        self._clips.pop(worker, None)

    def clips_of(self, stage: str | None) -> list[str]:
        """Return the ids of the clips of a stage's workers; None: of both stages."""
        return [
            clip_id
            for worker, clip_ids in self._clips.items()
            if stage in (None, worker.stage)
            for clip_id in clip_ids
        ]
