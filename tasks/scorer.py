"""The scoring stage in a Ray worker: an actor that holds the model."""

from __future__ import annotations

import os
import time
from typing import Any

import pyarrow as pa
import ray
import torch

from emi_model.predict import Predictor
from emi_model.reference import load_model
from tasks.budget import Budget
from tasks.clips import Row
from tasks.ledger import SCORE
from tasks.rows import ClipScorer
from tasks.schemas import costed_schema
from tasks.settings import ScoringSettings


class ScorerActor:
    """Holds the model in a worker process and scores blocks of extracted clips."""

    def __init__(self, settings: ScoringSettings, budget: Budget, ledger: Any) -> None:
        """Load the model."""
        ray.get(ledger.enlist.remote(ray.get_runtime_context().current_actor))
        if not budget.gpus_per_scorer:
            torch.set_num_threads(budget.threads_per_scorer)
        loaded = load_model(settings.model)
        self.predictor = Predictor(loaded.model, precision=settings.precision)
        self.score = ClipScorer(self.predictor, settings.coverage, intervals=loaded.intervals)
        self.schema = costed_schema(settings.targets)
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
