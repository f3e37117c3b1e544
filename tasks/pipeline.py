"""One pass of clips through Ray Data: a CPU stage extracts, an actor stage scores.

Bad clips are rows. What can end a pass is a worker process that dies; then a ledger, which every
worker writes before it touches clips, says which clips it held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, ExecutionResources, TaskPoolStrategy
from ray.exceptions import RayActorError, RayError, RayTaskError

from emi_model.errors import EmiError, ScoringError
from tasks.budget import Budget
from tasks.clips import ClipFile
from tasks.cluster import OBJECT_STORE_BYTES
from tasks.extracting import extract_block
from tasks.ledger import EXTRACT, SCORE, Ledger
from tasks.scorer import ScorerActor
from tasks.settings import ScoringSettings

CLIPS_PER_BLOCK = 16
"""Clips that one extraction task takes: short enough for early rows, long enough to be worth it."""

MAX_BLOCK_BYTES = 32 * 2**20
MAX_OBJECT_STORE_BYTES = OBJECT_STORE_BYTES // 2
"""Bound on waveforms between the stages, so that memory does not grow with the corpus."""


class PassDied(Exception):
    """A pass ended because a worker process died.

    Attributes:
        suspects: ids of the clips that workers of its stage held.
    """

    def __init__(self, suspects: frozenset[str], said: str) -> None:
        """Name the suspects and what Ray said."""
        super().__init__(said)
        self.suspects = suspects


def run_pass(
    clips: Sequence[ClipFile],
    settings: ScoringSettings,
    budget: Budget,
    *,
    clips_per_block: int = CLIPS_PER_BLOCK,
) -> Iterator[pa.Table]:
    """Extract and score clips; yields rows under `tasks.schemas.costed_schema`, in no order.

    Raises:
        PassDied: a worker process died; what was yielded before is good.
        ScoringError: the workers cannot work at all.
    """
    ledger: Any = ray.remote(num_cpus=0, max_restarts=0)(Ledger).remote()
    try:
        pipeline = _pipeline(clips, settings, budget, clips_per_block, ledger)
        yield from pipeline.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        )
    except RayTaskError as error:
        if isinstance(error.cause, EmiError):
            raise ScoringError(str(error.cause)) from error
        raise _died(ledger, error, None) from error
    except RayActorError as error:
        raise _died(ledger, error, SCORE) from error
    except RayError as error:
        raise _died(ledger, error, EXTRACT) from error
    finally:
        _end_scorers(ledger)


def _end_scorers(ledger: Any) -> None:
    """Kill what a pass that died leaves: its scorers would keep the next one's cores for ever."""
    for scorer in ray.get(ledger.scorers.remote()):
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
        pa.Table.from_pylist([clip._asdict() for clip in clips[start : start + clips_per_block]])
        for start in range(0, len(clips), clips_per_block)
    ]
    return (
        ray.data.from_arrow(blocks)
        .map_batches(
            extract_block,  # type: ignore[arg-type]  # Ray's stub knows no keyword arguments
            batch_size=None,
            batch_format="pyarrow",
            fn_kwargs={"settings": settings, "ledger": ledger},
            compute=TaskPoolStrategy(min(budget.decoders, len(blocks))),
            num_cpus=1,
            max_retries=0,
        )
        .map_batches(
            ScorerActor,
            batch_size=None,
            batch_format="pyarrow",
            fn_constructor_kwargs={"settings": settings, "budget": budget, "ledger": ledger},
            compute=ActorPoolStrategy(size=min(budget.scorers, len(blocks))),
            num_cpus=0 if budget.gpus_per_scorer else budget.threads_per_scorer,
            num_gpus=budget.gpus_per_scorer or None,
            max_restarts=0,
            max_task_retries=0,
        )
    )


def _bound_execution() -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = MAX_BLOCK_BYTES
    context.execution_options.resource_limits = ExecutionResources(
        object_store_memory=MAX_OBJECT_STORE_BYTES
    )


def _died(ledger: Any, error: RayError, stage: str | None) -> PassDied:
    """Accuse the clips of the stage that died; the other stage's worker holds innocent ones."""
    said = str(error).strip().partition("\n")[0]
    return PassDied(frozenset(ray.get(ledger.held.remote(stage))), said)
