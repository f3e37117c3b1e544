"""One pass of clips through Ray Data: a CPU stage extracts, an actor stage scores.

Bad clips are rows. What can end a pass is a worker process that dies; then a ledger, which every
worker writes before it touches clips, says which clips it held.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import ray
import ray.data
import torch
from ray.data import ActorPoolStrategy, DataContext, ExecutionResources, TaskPoolStrategy
from ray.exceptions import RayActorError, RayError, RayTaskError

from emi_model.errors import EmiError, ScoringError
from emi_model.predict import Precision, Predictor
from emi_model.reference import load_model
from tasks.budget import Budget
from tasks.clips import ClipFile, Row, extract_clip
from tasks.probe import Prober
from tasks.rows import ClipScorer, Coverage
from tasks.schemas import EXTRACTED, scored_schema

CLIPS_PER_BLOCK = 16
"""Clips that one extraction task takes: short enough for early rows, long enough to be worth it."""

MAX_BLOCK_BYTES = 32 * 2**20
MAX_OBJECT_STORE_BYTES = 256 * 2**20
"""Bound on waveforms between the stages, so that memory does not grow with the corpus."""

NICENESS = 10
"""Decoders take the cores that the scorers leave."""

EXTRACT, SCORE = "extract", "score"

COSTS = (
    pa.field("extract_seconds", pa.float64()),
    pa.field("score_seconds", pa.float64()),
    pa.field("model_samples", pa.int64()),
    pa.field("padded_samples", pa.int64()),
)
"""What a row cost, beside its scored columns; samples as the model saw them."""


@dataclass(frozen=True)
class ScoringSettings:
    """What every worker needs to know.

    Attributes:
        model: reference of the model.
        targets: its targets, in order.
        max_seconds: seconds of a clip to decode; None for all.
        coverage: first window or all windows.
        precision: ``auto`` or ``fp32``.
        timeout_seconds: for the extraction of one clip.
    """

    model: str
    targets: tuple[str, ...]
    max_seconds: float | None
    coverage: Coverage
    precision: Precision
    timeout_seconds: float = 120.0


class PassDied(Exception):
    """A pass ended because a worker process died.

    Attributes:
        suspects: ids of the clips that workers of its stage held.
    """

    def __init__(self, suspects: frozenset[str], said: str) -> None:
        """Name the suspects and what Ray said."""
        super().__init__(said)
        self.suspects = suspects


class Ledger:
    """Which clips each worker holds; lives beside the workers and outlives them."""

    def __init__(self) -> None:
        """Start with nothing held."""
        self._held: dict[tuple[str, int], list[str]] = {}
        self._scorers: list[Any] = []

    def enlist(self, scorer: Any) -> None:
        """Note a scorer's actor handle."""
        self._scorers.append(scorer)

    def scorers(self) -> list[Any]:
        """Return the handles of all scorers of this pass."""
        return self._scorers

    def take(self, stage: str, worker: int, clip_ids: list[str]) -> None:
        """Note that a worker is about to touch these clips."""
        self._held[stage, worker] = clip_ids

    def give(self, stage: str, worker: int) -> None:
        """Note that a worker is done with its clips."""
        self._held.pop((stage, worker), None)

    def held(self, stage: str | None) -> list[str]:
        """Return the clips held by workers of a stage, or of both."""
        return [
            clip_id
            for (of_stage, _), clip_ids in self._held.items()
            if stage in (None, of_stage)
            for clip_id in clip_ids
        ]


def run_pass(
    clips: Sequence[ClipFile],
    settings: ScoringSettings,
    budget: Budget,
    *,
    clips_per_block: int = CLIPS_PER_BLOCK,
) -> Iterator[pa.Table]:
    """Extract and score clips; yields rows under `costed_schema`, in no order.

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
        raise _died(ledger, error) from error
    except RayError as error:
        raise _died(ledger, error) from error
    finally:
        _end_scorers(ledger)


def _end_scorers(ledger: Any) -> None:
    """Kill what a pass that died leaves: its scorers would keep the next one's cores for ever."""
    for scorer in ray.get(ledger.scorers.remote()):
        ray.kill(scorer)
    ray.kill(ledger)


def costed_schema(settings: ScoringSettings) -> pa.Schema:
    """Return the schema of what `run_pass` yields."""
    return pa.schema([*scored_schema(settings.targets), *COSTS])


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
            compute=TaskPoolStrategy(budget.decoders),
            num_cpus=1,
            max_retries=0,
        )
        .map_batches(
            ScorerActor,
            batch_size=None,
            batch_format="pyarrow",
            fn_constructor_kwargs={"settings": settings, "budget": budget, "ledger": ledger},
            compute=ActorPoolStrategy(size=budget.scorers),
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


def extract_block(block: pa.Table, *, settings: ScoringSettings, ledger: Any) -> Iterator[pa.Table]:
    """Extract a block of listed clips; yields extracted rows one by one."""
    prober = _worker_prober()
    clips = [ClipFile(**row) for row in block.to_pylist()]
    ray.get(ledger.take.remote(EXTRACT, os.getpid(), [clip.clip_id for clip in clips]))
    for clip in clips:
        started = time.perf_counter()
        row = extract_clip(
            clip,
            max_seconds=settings.max_seconds,
            timeout_seconds=settings.timeout_seconds,
            prober=prober,
        )
        row[COSTS[0].name] = time.perf_counter() - started
        yield pa.Table.from_pylist([row], pa.schema([*EXTRACTED, COSTS[0]]))
    ray.get(ledger.give.remote(EXTRACT, os.getpid()))


class ScorerActor:
    """Holds the model in a worker process and scores blocks of extracted clips."""

    def __init__(self, settings: ScoringSettings, budget: Budget, ledger: Any) -> None:
        """Load the model."""
        ray.get(ledger.enlist.remote(ray.get_runtime_context().current_actor))
        if not budget.gpus_per_scorer:
            torch.set_num_threads(budget.threads_per_scorer)
        self.predictor = Predictor(load_model(settings.model).model, precision=settings.precision)
        self.score = ClipScorer(self.predictor, settings.coverage)
        self.schema = costed_schema(settings)
        self.ledger = ledger

    def __call__(self, block: pa.Table) -> pa.Table:
        """Score one block."""
        rows = block.to_pylist()
        clip_ids = [row["clip_id"] for row in rows]
        ray.get(self.ledger.take.remote(SCORE, os.getpid(), clip_ids))
        before, started = self.predictor.padding, time.perf_counter()
        scored = self.score(rows)
        seconds = (time.perf_counter() - started) / max(1, len(rows))
        for row in scored:
            row |= {"score_seconds": seconds, "model_samples": 0, "padded_samples": 0}
        if scored:
            scored[0] |= self._samples_since(before)
        self.ledger.give.remote(SCORE, os.getpid())
        return pa.Table.from_pylist(scored, self.schema)

    def _samples_since(self, before: tuple[int, int]) -> Row:
        """Return the block's samples: they belong to it as a whole, the first row carries them."""
        own, padded = (now - then for now, then in zip(self.predictor.padding, before, strict=True))
        return {"model_samples": own, "padded_samples": padded}


@cache
def _worker_prober() -> Prober:
    """Return this worker process's prober; its first use also makes the worker nice."""
    os.nice(NICENESS)
    return Prober()


def _died(ledger: Any, error: RayError) -> PassDied:
    stage = SCORE if isinstance(error, RayActorError) else None
    said = str(error).strip().partition("\n")[0]
    return PassDied(frozenset(ray.get(ledger.held.remote(stage))), said)
