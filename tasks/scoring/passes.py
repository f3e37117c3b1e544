"""One pass of clips through Ray Data: a CPU stage extracts, stages of actors do the rest.

Bad clips are rows. A pass ends early only if a worker process dies, or a node is lost with all its
workers. Every worker writes its clips to a ledger before it works on them; after a death the
ledger names the suspects. If a node was lost, no clip is suspected.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy
from ray.data.read_api import from_blocks
from ray.exceptions import RayActorError, RayError, RayTaskError

from emi_model.errors import EmiError, ScoringError
from tasks.cluster.budget import Budget
from tasks.cluster.nodes import actor_on_this_node, alive_nodes, dead_nodes, lost_nodes, wait_for
from tasks.corpus.clips import ClipFile
from tasks.processes import ending
from tasks.scoring.stages.blocks import MAX_BLOCK_BYTES, block_bounds
from tasks.scoring.stages.extract_stage import extract_block
from tasks.scoring.stages.ledger import EXTRACT, Ledger
from tasks.scoring.stages.stage import ActorStage, PassFailed, Work

MAX_WAITING_BYTES = 256 * 2**20
"""Bound on a node's waveforms between the stages: memory must not grow with the corpus."""

WAITING_BYTES_PER_GPU = 768 * 2**20
"""What each GPU of a node adds: two blocks for its scorer alone are 120 MB, and without more the
decoders wait (474 clips a second reached a stage that takes 1,500, with more 1,142: RESULTS.md)."""

MAX_STORE_SHARE = 0.5
"""Waveforms take at most this share of Ray's object store."""

IDLE_UTILISATION = 0.25
"""Tasks a scorer below which an elastic pool ends one; low, since loading a model takes long."""

MAX_DETAIL_CHARS = 200

LEDGER_DIED = (
    "the ledger, the process of this run that notes which clips each worker has, has died: "
    f"{ending.GOES_ON}; if it dies again, look whether the memory suffices"
)

MAX_RESTARTS = 3
"""Restarts of a scorer that dies while idle; one that dies at work ends the pass."""


def run_pass(
    clips: Sequence[ClipFile], work: Work, budget: Budget, *, one_by_one: bool = False
) -> Generator[pa.Table, None, None]:
    """Put clips through the stages of a run; yields the rows of the last, in no order.

    Args:
        clips: the clips.
        work: what is done with them.
        budget: of the machine or the cluster.
        one_by_one: each worker has one clip at a time.

    Raises:
        PassFailed: a worker process died; rows that were yielded before are valid.
        EmiError: the workers cannot work at all.
    """
    dead_before = dead_nodes()
    ledger = actor_on_this_node(Ledger)
    try:
        pipeline = _pipeline(clips, work, budget, one_by_one, ledger)
        yield from pipeline.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        )
    except RayError as error:
        try:
            failure = _failure(ledger, error, dead_before, work)
        except RayActorError as death:  # of the ledger, which was asked
            raise ScoringError(LEDGER_DIED) from death
        raise failure from error
    finally:
        _end_actors(ledger)


def _end_actors(ledger: Any) -> None:
    """Kill the actors of a pass: those of one that failed would keep their cores for ever."""
    with suppress(RayActorError):  # the ledger has died: its pass ends, and the cluster with it
        for actor in wait_for(ledger.actors.remote()):
            ray.kill(actor)
    ray.kill(ledger)


def _pipeline(
    clips: Sequence[ClipFile], work: Work, budget: Budget, one_by_one: bool, ledger: Any
) -> ray.data.Dataset:
    _bound_execution()
    clips_per_block = 1 if one_by_one else work.clips_per_block
    blocks = [
        pa.Table.from_pylist([clip._asdict() for clip in clips[start:end]])
        for start, end in pairwise(block_bounds(len(clips), clips_per_block, budget.scorers))
    ]
    decoders = None if budget.elastic else min(budget.decoders, len(blocks))
    listed: ray.data.Dataset = from_blocks(blocks)  # untyped; starts no tasks
    rows: ray.data.Dataset = listed.map_batches(
        extract_block,  # type: ignore[arg-type]  # Ray's stub knows no keyword arguments
        batch_size=None,
        batch_format="pyarrow",
        fn_kwargs={"settings": work.extraction, "ledger": ledger},
        compute=TaskPoolStrategy(decoders),
        num_cpus=budget.cpus_per_decoder,
        max_retries=0,
    )
    for stage in work.stages:
        given = {} if stage.given is None else {"given": ray.put(stage.given(clips))}
        rows = rows.map_batches(
            stage.actor,
            batch_size=_clips_at_once(stage, budget, one_by_one),
            batch_format="pyarrow",
            fn_constructor_kwargs={
                "settings": stage.settings,
                "budget": budget,
                "ledger": ledger,
                **given,
            },
            compute=_actors(budget, len(blocks)),
            num_cpus=budget.cpus_per_scorer,
            num_gpus=budget.gpus_per_scorer or None,
            max_restarts=MAX_RESTARTS,
            max_task_retries=0,
        )
    return rows


def _clips_at_once(stage: ActorStage, budget: Budget, one_by_one: bool) -> int | None:
    """Return how many clips an actor takes at once; None: a block."""
    at_once = stage.clips_per_gpu_batch if budget.gpus_per_scorer else stage.clips_per_batch
    return 1 if one_by_one and at_once is not None else at_once


def _actors(budget: Budget, num_blocks: int) -> ActorPoolStrategy:
    scorers = min(budget.scorers, num_blocks)
    if budget.gpus_per_scorer and not budget.elastic:
        return ActorPoolStrategy(size=scorers)
    if not budget.elastic:  # the second loads its model while the first scores the first rows
        return ActorPoolStrategy(min_size=1, max_size=scorers, initial_size=1)
    return ActorPoolStrategy(min_size=1, max_size=num_blocks, initial_size=scorers)


def _bound_execution() -> None:
    """Bound the data between the stages: Ray's limit is a share of all nodes' object stores."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = MAX_BLOCK_BYTES
    context.autoscaling_config.actor_pool_util_downscaling_threshold = IDLE_UTILISATION
    nodes = [node["Resources"] for node in alive_nodes().values()]
    waiting = sum(waiting_bytes(node.get("GPU", 0)) for node in nodes)
    share = waiting / max(1, sum(node.get("object_store_memory", 0) for node in nodes))
    context.override_object_store_memory_limit_fraction = min(share, MAX_STORE_SHARE)


def waiting_bytes(gpus: float) -> int:
    """Return the bound on the waveforms between the stages of a node with some GPUs, bytes."""
    return MAX_WAITING_BYTES + int(gpus * WAITING_BYTES_PER_GPU)


def _failure(ledger: Any, error: RayError, dead_before: frozenset[str], work: Work) -> Exception:
    """Return why a pass ended: workers refuse, a node was lost, or clips of a stage are suspects.

    Clips of other stages' workers are not suspected.
    """
    refusal: Exception | None = wait_for(ledger.refusal.remote())
    if refusal is not None:
        return refusal
    if isinstance(error, RayTaskError) and isinstance(error.cause, EmiError):
        # Ray Data appends lines with advice
        return ScoringError(str(error.cause).partition("\n")[0])
    message = str(error).strip().partition("\n")[0][:MAX_DETAIL_CHARS]
    lost = lost_nodes(dead_before)
    if lost:
        return PassFailed(message, frozenset(), lost)
    return PassFailed(message, frozenset(suspects_of(ledger, error, work)), lost)


def suspects_of(ledger: Any, error: RayError, work: Work) -> list[str]:
    """Return the ids of the clips with which a worker died, or that raised an error in one.

    Ray makes an error raised in a task an instance of its own class and of the error's. So one of
    the ledger's answers that did not come is no death of an actor, and no clip is suspected.
    """
    found: list[str]
    if isinstance(error, RayTaskError):
        found = wait_for(ledger.accused.remote())
    elif isinstance(error, RayActorError):
        stage = wait_for(ledger.stage_of.remote(error.actor_id))
        stages = [stage] if stage else [one.name for one in work.stages]
        found = wait_for(ledger.clips_of.remote(stages))
    else:
        found = wait_for(ledger.clips_of.remote([EXTRACT]))
    return found
