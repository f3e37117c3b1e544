"""One pass of clips through Ray Data: a CPU stage extracts, an actor stage scores.

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
from tasks.scoring.extract_stage import extract_block
from tasks.scoring.ledger import EXTRACT, SCORE, Ledger
from tasks.scoring.score_stage import ScorerActor
from tasks.scoring.settings import ScoringSettings

CLIPS_PER_BLOCK = 32
"""Most clips of one block: a step of the LSTM costs the same for one clip and for many."""

FIRST_CLIPS = 2
"""Clips of the first block, for early rows."""

LAST_CLIPS = 4
"""Clips of the last blocks: small, so that scorers do not wait long for each other at the end."""

CLIPS_PER_GPU_BATCH = 256
"""Clips that a scorer on a GPU takes at once: an LSTM step costs the same for one and for all."""

MAX_BLOCK_BYTES = 32 * 2**20
MAX_WAITING_BYTES = 256 * 2**20
"""Bound on a node's waveforms between the stages: memory must not grow with the corpus."""

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


class PassFailed(Exception):
    """A pass ended because a worker process died.

    Attributes:
        suspects: ids of the clips that workers of its stage had.
        lost: ids of the lost nodes; if there are any, there are no suspects.
    """

    def __init__(self, message: str, suspects: frozenset[str], lost: frozenset[str]) -> None:
        """Store Ray's message, the suspects and the lost nodes."""
        super().__init__(message)
        self.suspects = suspects
        self.lost = lost


def run_pass(
    clips: Sequence[ClipFile],
    settings: ScoringSettings,
    budget: Budget,
    *,
    clips_per_block: int = CLIPS_PER_BLOCK,
) -> Generator[pa.Table, None, None]:
    """Extract and score clips; yields rows under `tasks.schema.scores.costed_schema`, in no order.

    Raises:
        PassFailed: a worker process died; rows that were yielded before are valid.
        EmiError: the workers cannot work at all.
    """
    dead_before = dead_nodes()
    ledger = actor_on_this_node(Ledger)
    try:
        pipeline = _pipeline(clips, settings, budget, clips_per_block, ledger)
        yield from pipeline.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        )
    except RayError as error:
        try:
            failure = _failure(ledger, error, dead_before)
        except RayActorError as death:  # of the ledger, which was asked
            raise ScoringError(LEDGER_DIED) from death
        raise failure from error
    finally:
        _end_scorers(ledger)


def _end_scorers(ledger: Any) -> None:
    """Kill the actors of a pass: scorers of one that failed would keep their cores for ever."""
    with suppress(RayActorError):  # the ledger has died: its pass ends, and the cluster with it
        for scorer in wait_for(ledger.scorers.remote()):
            ray.kill(scorer)
    ray.kill(ledger)


def _pipeline(
    clips: Sequence[ClipFile],
    settings: ScoringSettings,
    budget: Budget,
    clips_per_block: int,
    ledger: Any,
) -> ray.data.Dataset:
    _bound_execution()
    blocks = [
        pa.Table.from_pylist([clip._asdict() for clip in clips[start:end]])
        for start, end in pairwise(block_bounds(len(clips), clips_per_block, budget.scorers))
    ]
    decoders = None if budget.elastic else min(budget.decoders, len(blocks))
    at_once = CLIPS_PER_GPU_BATCH if clips_per_block > 1 else 1
    listed: ray.data.Dataset = from_blocks(blocks)  # untyped; starts no tasks
    scored: ray.data.Dataset = listed.map_batches(
        extract_block,  # type: ignore[arg-type]  # Ray's stub knows no keyword arguments
        batch_size=None,
        batch_format="pyarrow",
        fn_kwargs={"settings": settings, "ledger": ledger},
        compute=TaskPoolStrategy(decoders),
        num_cpus=budget.cpus_per_decoder,
        max_retries=0,
    ).map_batches(
        ScorerActor,
        batch_size=at_once if budget.gpus_per_scorer else None,
        batch_format="pyarrow",
        fn_constructor_kwargs={"settings": settings, "budget": budget, "ledger": ledger},
        compute=_scorers(budget, len(blocks)),
        num_cpus=budget.cpus_per_scorer,
        num_gpus=budget.gpus_per_scorer or None,
        max_restarts=MAX_RESTARTS,
        max_task_retries=0,
    )
    return scored


def block_bounds(num_clips: int, clips_per_block: int, scorers: int) -> list[int]:
    """Return where blocks of clips begin, and where the last one ends.

    The first blocks are small, so that rows come early; each is twice the one before, up to the
    full size. When less than two full blocks a scorer are left, a block is half a scorer's share of
    the remaining clips (Polychronopoulos and Kuck 1987, "Guided Self-Scheduling", IEEE
    Transactions on Computers C-36(12), with half the share).
    """
    bounds, most = [0], FIRST_CLIPS
    while (left := num_clips - bounds[-1]) > 0:
        size = min(most, max(LAST_CLIPS, left // (2 * scorers)), clips_per_block, left)
        bounds.append(bounds[-1] + size)
        most = 2 * size
    return bounds


def _scorers(budget: Budget, num_blocks: int) -> ActorPoolStrategy:
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
    stores = [node["Resources"].get("object_store_memory", 0) for node in alive_nodes().values()]
    share = MAX_WAITING_BYTES * len(stores) / max(1, sum(stores))
    context.override_object_store_memory_limit_fraction = min(share, MAX_STORE_SHARE)


def _failure(ledger: Any, error: RayError, dead_before: frozenset[str]) -> Exception:
    """Return why a pass ended: workers refuse, a node was lost, or clips of a stage are suspects.

    Clips of the other stage's workers are not suspected.
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
    stage = SCORE if isinstance(error, RayActorError) else EXTRACT
    suspects = ledger.clips_of.remote(None if isinstance(error, RayTaskError) else stage)
    return PassFailed(message, frozenset(wait_for(suspects)), lost)
