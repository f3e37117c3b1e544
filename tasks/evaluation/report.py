"""What an evaluation found, as an object, as rows of a store, and in how far it can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from emi_model.arrays import Doubles
from emi_model.metrics.agreement import mean_defined
from emi_model.metrics.bootstrap import Evaluation, TargetFigures
from emi_model.metrics.conformal import Intervals
from emi_model.metrics.resamples import METRIC_NAMES
from emi_model.modalities import TRANSCRIPT
from tasks.evaluation.subsets import Subset
from tasks.labels.label_set import LabelSet
from tasks.provenance import source_commit
from tasks.schema.registers import MEAN, register_table
from tasks.schema.tables import EVALUATIONS
from tasks.store.store import ResultsStore


@dataclass(frozen=True)
class Standing:
    """What a model's training had to do with the clips that it is evaluated on.

    Attributes:
        num_trained_on: clips its weights were fitted to; None if the model does not say.
        num_held_out: clips that neither trained it, nor chose its epoch, nor calibrated its
            intervals; None if the model does not say.
        coverage: share of the held-out labels inside their interval, for the targets with one.
        coverage_level: share that the intervals promise; None if the model has none.
    """

    num_trained_on: int | None
    num_held_out: int | None
    coverage: Mapping[str, float]
    coverage_level: float | None


_NOT_ASKED = Standing(None, None, {}, None)


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """One model on the labelled clips of one split.

    Attributes:
        evaluation_id: sorts by time.
        evaluated_at: UTC.
        model: its name.
        model_sha256: hash of its config and weights.
        labels: the labels.
        split: whose clips.
        evaluation: the figures with their intervals.
        standing: what the model's training had to do with the clips.
        missing: why a labelled clip of the split was not evaluated, by clip id.
        num_speakers: of the clips; None unless all have one.
        predictions: (N, T), in the order of the model's targets.
        truth: labels (N, T).
        speakers: N of them; empty where unknown.
        intervals: the model's.
        subsets: figures on some of the clips.
        extractors: facts of what made the model's inputs by modality.
        subset: which of the clips; None: all.
    """

    evaluation_id: str
    evaluated_at: datetime
    model: str
    model_sha256: str
    labels: LabelSet
    split: str
    evaluation: Evaluation
    standing: Standing
    missing: Mapping[str, str]
    num_speakers: int | None
    predictions: Doubles
    truth: Doubles
    speakers: tuple[str, ...]
    intervals: Intervals | None
    subsets: tuple[Subset, ...] = ()
    extractors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    subset: str | None = None

    @property
    def num_labelled(self) -> int:
        """Clips of the split, evaluated or missing."""
        return self.evaluation.num_clips + len(self.missing)

    @property
    def coverage_mean(self) -> float | None:
        """Mean coverage over the targets; None where there is none."""
        return mean_defined(self.standing.coverage.values())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the register: one a target, in the model's order, then their mean."""
        coverage = self.standing.coverage
        rows = [
            self._row(target, figures, coverage.get(target))
            for target, figures in self.evaluation.targets.items()
        ]
        return [*rows, self._row(MEAN, self.evaluation.mean, self.coverage_mean)]

    def subset_rows(self) -> list[dict[str, Any]]:
        """Return the rows of the subsets: of each one a target, then their mean."""
        return [
            row
            for subset in self.subsets
            for row in replace(
                self,
                evaluation=subset.evaluation,
                standing=_NOT_ASKED,
                missing={},
                num_speakers=None,
                subsets=(),
                subset=subset.name,
            ).rows()
        ]

    def write(self, store: ResultsStore) -> None:
        """Add the rows to a store's register of evaluations.

        Raises:
            StoreError: the disk is full, or does not take the file for another reason.
        """
        rows = [*self.rows(), *self.subset_rows()]
        store.record(EVALUATIONS, self.evaluation_id, register_table(EVALUATIONS, rows))

    def _row(self, target: str, figures: TargetFigures, coverage: float | None) -> dict[str, Any]:
        text = self.extractors.get(TRANSCRIPT, {})
        return {
            "evaluation_id": self.evaluation_id,
            "evaluated_at": self.evaluated_at,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "snapshot": self.labels.snapshot,
            "split": self.split,
            "split_sha256": self.labels.split_sha256,
            "subset": self.subset,
            "target": target,
            "num_labelled": self.num_labelled,
            "num_clips": self.evaluation.num_clips,
            "num_missing": len(self.missing),
            "num_trained_on": self.standing.num_trained_on,
            "num_held_out": self.standing.num_held_out,
            "num_speakers": self.num_speakers,
            **dict(_columns(figures)),
            "interval_level": self.evaluation.level,
            "num_resamples": self.evaluation.num_resamples,
            "coverage": coverage,
            "coverage_level": self.standing.coverage_level,
            "asr_model": text.get("asr_model"),
            "asr_sha256": text.get("asr_sha256"),
            "commit": source_commit(),
        }


def _columns(figures: TargetFigures) -> Iterator[tuple[str, float | None]]:
    for name in METRIC_NAMES:
        estimate = getattr(figures, name)
        yield name, estimate.value
        yield f"{name}_low", estimate.low
        yield f"{name}_high", estimate.high
