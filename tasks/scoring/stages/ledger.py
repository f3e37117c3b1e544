"""The ledger of a pass on Ray: which clips each worker has, to find the suspects if one dies.

Where a pass runs in this process, ``ledger`` is None. Light to import: such a run needs no Ray.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from emi_model.errors import ClusterError, EmiError
from tasks.provenance import code_version

EXTRACT, TRANSCRIBE, SCORE = "extract", "transcribe", "score"
"""Stages."""


class Worker(NamedTuple):
    """A worker process of a stage.

    Attributes:
        stage: its name.
        worker: its id in the cluster; process ids of two nodes may be equal.
    """

    stage: str
    worker: str


def this_worker(stage: str, ledger: Any) -> Worker:
    """Return this worker process."""
    if ledger is None:
        return Worker(stage, "")
    import ray

    return Worker(stage, ray.get_runtime_context().get_worker_id())


def enlisted(stage: str, ledger: Any) -> str:
    """Enlist this actor in a pass's ledger; return Ray's id of its node, else this machine's name.

    A machine without a name is ``localhost``.
    """
    if ledger is None:
        return platform.node() or "localhost"
    import ray

    context = ray.get_runtime_context()
    ray.get(ledger.enlist.remote(stage, context.get_actor_id(), context.current_actor))
    node: str = context.get_node_id()
    return node


@contextmanager
def holding(ledger: Any, worker: Worker, clip_ids: Sequence[str]) -> Iterator[None]:
    """Record that a worker has these clips until the block ends, or that they raised an error."""
    if ledger is None:
        yield
        return
    import ray

    ray.get(ledger.take.remote(worker, list(clip_ids)))
    try:
        yield
    except Exception:
        ray.get(ledger.accuse.remote(worker))
        raise
    ray.get(ledger.give.remote(worker))


def received(given: Any, ledger: Any) -> Any:
    """Return what a pass gives its actors, on Ray by a reference."""
    if given is None or ledger is None:
        return given
    import ray

    return ray.get(given)


@contextmanager
def refusing(ledger: Any) -> Iterator[None]:
    """Record the error for which this actor cannot work at all."""
    try:
        yield
    except EmiError as error:
        if ledger is not None:
            import ray

            ray.get(ledger.refuse.remote(error))
        raise


def check_version(expected: str, node: str) -> None:
    """Check that a node runs the driver's version of this project.

    Raises:
        ClusterError: it runs another.
    """
    if expected != code_version():
        raise ClusterError(
            f"node {node[:8]}: found emi-workflow {code_version()}, expected {expected}: "
            "start all nodes from one image, or send the code along (--wheel)"
        )


class Ledger:
    """The clips of each worker; an actor on the driver's node that outlives the workers."""

    def __init__(self) -> None:
        """Start without clips."""
        self._clips: dict[Worker, list[str]] = {}
        self._accused: list[str] = []
        self._actors: dict[str, tuple[str, Any]] = {}
        self._refusal: Exception | None = None

    def enlist(self, stage: str, actor_id: str, actor: Any) -> None:
        """Store the handle of an actor of a stage, and its id in the cluster."""
        self._actors[actor_id] = (stage, actor)

    def actors(self) -> list[Any]:
        """Return the handles of all actors of this pass."""
        return [actor for _, actor in self._actors.values()]

    def stage_of(self, actor_id: str | None) -> str | None:
        """Return the stage of an actor, or None if it did not start."""
        return self._actors[actor_id][0] if actor_id in self._actors else None

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

    def accuse(self, worker: Worker) -> None:
        """Record that a worker's clips raised an error in it."""
        self._accused += self._clips.pop(worker, [])

    def accused(self) -> list[str]:
        """Return the ids of the clips that raised an error."""
        return self._accused

    def clips_of(self, stages: Collection[str]) -> list[str]:
        """Return the ids of the clips of some stages' workers."""
        return [
            clip_id
            for worker, clip_ids in self._clips.items()
            if worker.stage in stages
            for clip_id in clip_ids
        ]
