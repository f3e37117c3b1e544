"""The scoring stage: an actor that holds the model, in a Ray worker or in this process.

A run's main process imports this class, too: an actor loads PyTorch when it starts.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from emi_model.checkpoints.resolve import read_metadata
from emi_model.devices import processor
from emi_model.errors import CheckpointError, EmiError
from emi_model.loading import without_gc
from tasks.cluster.budget import Budget
from tasks.extraction.rows import Row
from tasks.schema.outcomes import Status
from tasks.schema.scores import costed_schema
from tasks.schema.transcripts import WITH_TRANSCRIPT
from tasks.scoring.clip_scorer import ClipScorer
from tasks.scoring.settings import ScoringSettings
from tasks.scoring.stages.lane_choice import LaneChoice
from tasks.scoring.stages.ledger import (
    SCORE,
    check_version,
    enlisted,
    holding,
    refusing,
    this_worker,
)

if TYPE_CHECKING:
    from emi_model.checkpoints.checkpoint import LoadedModel

SHARE_IT = "put the model on a shared folder or in a bucket, so that every node finds the same"


class ScorerActor:
    """Holds the model and scores blocks of extracted clips."""

    def __init__(self, settings: ScoringSettings, budget: Budget, ledger: Any) -> None:
        """Load the model."""
        with without_gc():
            import torch

            from emi_model.predict import Predictor

        self.node = enlisted(SCORE, ledger)
        self.ledger, self.worker = ledger, this_worker(SCORE, ledger)
        with refusing(ledger):
            loaded = load_here(settings, self.node)
        self.predictor = Predictor(loaded.model, precision=settings.precision)
        self.choice: LaneChoice | None = None
        self._threads_before: int | None = None
        if not budget.gpus_per_scorer:
            self._threads_before = torch.get_num_threads()
            torch.set_num_threads(budget.threads_per_scorer)
            model = settings.model_sha256 or settings.model
            key = f"{processor()}, model {model}, {self.predictor.numerics}"
            self.choice = LaneChoice(budget.threads_per_scorer, key)
        self.score = ClipScorer(
            self.predictor,
            settings.coverage,
            intervals=loaded.intervals,
            needs=settings.needs,
            why=settings.why,
        )
        if settings.why is None:
            self.predictor.release_weights()
        self.schema = scorers_schema(settings)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Score one block."""
        rows = block.to_pylist()
        with holding(self.ledger, self.worker, [row["clip_id"] for row in rows]):
            return pa.Table.from_pylist(self._scored(rows), self.schema)

    def close(self) -> None:
        """End its threads, in a process that goes on."""
        self._end_lanes()
        if self._threads_before is not None:
            import torch

            torch.set_num_threads(self._threads_before)

    def _scored(self, rows: list[Row]) -> list[Row]:
        lanes = self._divide(len(rows))
        before, started = self.predictor.padding, time.perf_counter()
        scored = self.score(rows)
        spent = time.perf_counter() - started
        for row in scored:
            is_scored = row["status"] == Status.SCORED.value
            row |= {
                "score_seconds": spent / len(rows),
                "model_samples": 0,
                "padded_samples": 0,
                "node": self.node if is_scored else None,
                "numerics": self.predictor.numerics if is_scored else None,
            }
        if scored:
            scored[0] |= self._samples_since(before)
        if scored and self.choice is not None:
            num_scored = sum(row["node"] is not None for row in scored)
            self.choice.note(num_scored, scored[0]["model_samples"], spent, lanes=lanes)
        return scored

    def _divide(self, num_clips: int) -> int:
        """Divide the next block among as many threads as are chosen; return their number."""
        if self.choice is None:
            return 1
        number, threads = self.choice.lanes_for(num_clips)
        lanes = self.predictor.lanes
        if lanes is None or lanes.number != number:
            from emi_model.lanes import Lanes

            self._end_lanes()
            self.predictor.lanes = Lanes(number, threads)
        return number

    def _end_lanes(self) -> None:
        lanes, self.predictor.lanes = self.predictor.lanes, None
        if lanes is not None:
            lanes.close()

    def _samples_since(self, before: tuple[int, int]) -> Row:
        """Return the samples of a whole block, which are stored in its first row."""
        own, padded = (now - then for now, then in zip(self.predictor.padding, before, strict=True))
        return {"model_samples": own, "padded_samples": padded}


def scorers_schema(settings: ScoringSettings) -> pa.Schema:
    """Return the schema of a scorer's rows; where a clip was transcribed, with its transcript."""
    added = [] if settings.transcription is None else WITH_TRANSCRIPT
    return pa.schema([*costed_schema(settings.targets), *added])


def load_here(settings: ScoringSettings, node: str) -> LoadedModel:
    """Load a run's model on a node, from the driver's path or, if it is missing, ``elsewhere``.

    Raises:
        CheckpointError: this node does not find the model, or finds a different one, or damaged
            weights.
        ClusterError: this node runs another version of this project.
    """
    from emi_model.checkpoints.load import load_model
    from tasks.registry.registry import (
        resolve_model,  # loads MLflow, which few nodes need
    )

    check_version(settings.version, node)
    try:
        reference = settings.model
        if settings.elsewhere is not None and not Path(reference).is_dir():
            reference = resolve_model(settings.elsewhere)
        metadata = read_metadata(reference)
    except EmiError as error:
        raise CheckpointError(f"node {node[:8]}: {error}: {SHARE_IT}") from error
    expected = settings.model_sha256 or metadata.sha256
    if metadata.sha256 != expected:
        raise CheckpointError(
            f"node {node[:8]}: found the model {metadata.sha256[:12]} at {reference}, expected "
            f"{expected[:12]}: {SHARE_IT}"
        )
    return load_model(reference, metadata, to_score=True)
