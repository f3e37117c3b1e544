"""The rows of a comparison's report: figures, differences to the reference, corrected p-values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from emi_model.metrics.agreement import mean_defined
from emi_model.metrics.systems import (
    CHANCE,
    SYSTEM_RESAMPLES,
    SystemFigures,
    compare_systems,
    holm,
)
from tasks.comparison.cell import CellRun
from tasks.comparison.plan import Comparison, System
from tasks.comparison.run import TrainedSystem
from tasks.evaluation.subsets import subsets_of
from tasks.labels.labelled_clips import CachedClip
from tasks.provenance import source_commit
from tasks.schema.registers import MEAN

MIN_SUBSET = 10
"""Clips of the smallest subset that is compared."""

FEWER_RESAMPLES = 1000
"""For subsets, of which there may be many."""

_MEANS = ("train_seconds", "clips_per_second", "memory_mib")

Trainings = Mapping[CellRun, TrainedSystem]


@dataclass(frozen=True)
class ReportId:
    """The id of a report, and when it was made."""

    report: str
    reported_at: datetime


def comparison_rows(
    comparison: Comparison, trainings: Trainings, failed: Mapping[CellRun, str], made: ReportId
) -> list[dict[str, Any]]:
    """Return a row a system, subset and target, by the columns of `COMPARISONS_SCHEMA`.

    Args:
        comparison: the plan.
        trainings: those that are done.
        failed: those that failed, with the cause.
        made: id and time of the report.
    """
    clips = [clip for clip in comparison.clips.measured or () if isinstance(clip, CachedClip)]
    parts: dict[str | None, list[int]] = {None: list(range(len(clips)))}
    parts |= {name: found for name, found in subsets_of(clips).items() if len(found) >= MIN_SUBSET}
    by_cell = {
        system.cell: [trained for run, trained in trainings.items() if run.cell == system.cell]
        for system in comparison.systems
    }
    rows = []
    for subset, places in parts.items():
        own = [clips[place] for place in places]
        figures = _figures(comparison, by_cell, own, places, subset)
        speakers = {clip.speaker for clip in own}
        for column, target in enumerate((*comparison.gathered.labels.targets, MEAN)):
            tested = [_of(figures, system, column) for system in comparison.systems]
            corrected = holm([None if found is None else found.p for found in tested])
            for system, found, p_holm in zip(comparison.systems, tested, corrected, strict=True):
                done = by_cell[system.cell]
                rows.append(
                    {
                        **_identity(comparison, system, made),
                        "subset": subset,
                        "target": target,
                        "num_clips": len(own),
                        "num_speakers": len(speakers) if all(speakers) else None,
                        **_costs(system, done, failed),
                        **dict(_columns(found)),
                        "p_holm": p_holm,
                    }
                )
    order = {system.cell: place for place, system in enumerate(comparison.systems)}
    names = {subset: place for place, subset in enumerate(parts)}
    return sorted(rows, key=lambda row: (names[row["subset"]], order[row["cell"]]))


def _figures(
    comparison: Comparison,
    by_cell: Mapping[str, Sequence[TrainedSystem]],
    clips: Sequence[CachedClip],
    places: Sequence[int],
    subset: str | None,
) -> dict[str, list[SystemFigures]]:
    """Return, by cell, the figures of each target and of their mean; of those that are done."""
    done = {
        cell: np.stack([trained.predictions[places] for trained in found])
        for cell, found in by_cell.items()
        if found
    }
    names = {system.name: system.cell for system in comparison.systems}
    reference = names.get(comparison.reference, comparison.reference)
    return compare_systems(
        done,
        np.stack([clip.emi for clip in clips]),
        comparison.gathered.labels.targets,
        reference=reference if reference in done or reference == CHANCE else None,
        groups=[clip.speaker for clip in clips],
        num_resamples=SYSTEM_RESAMPLES if subset is None else FEWER_RESAMPLES,
    )


def _of(
    figures: Mapping[str, Sequence[SystemFigures]], system: System, column: int
) -> SystemFigures | None:
    found = figures.get(system.cell)
    return None if found is None else found[column]


def _identity(comparison: Comparison, system: System, made: ReportId) -> dict[str, Any]:
    base, branches, fusion, loss = system.variant.labels
    labels = comparison.gathered.labels
    return {
        "comparison": comparison.comparison_id,
        "cell": system.cell,
        "report": made.report,
        "reported_at": made.reported_at,
        "name": system.name,
        "recipe": base,
        "branches": branches,
        "fusion": fusion,
        "loss": loss,
        "reference": comparison.reference,
        "shuffled": comparison.shuffled,
        "snapshot": labels.snapshot,
        "split": comparison.split,
        "split_sha256": labels.split_sha256,
        "commit": source_commit(),
    }


def _costs(
    system: System, done: Sequence[TrainedSystem], failed: Mapping[CellRun, str]
) -> dict[str, Any]:
    reasons = [reason for run, reason in failed.items() if run.cell == system.cell]
    first = done[0].facts if done else {}
    return {
        "num_seeds": len(done),
        "num_failed": len(reasons),
        "num_parameters": first.get("num_parameters"),
        "num_filled": first.get("num_filled"),
        **{name: mean_defined(trained.facts[name] for trained in done) for name in _MEANS},
        "reason": reasons[0] if reasons else None,
    }


def _columns(found: SystemFigures | None) -> Iterator[tuple[str, float | None]]:
    if found is None:
        return
    for name in ("pearson", "ccc", "difference"):
        estimate = getattr(found, name)
        if estimate is not None:
            yield name, estimate.value
            yield f"{name}_low", estimate.low
            yield f"{name}_high", estimate.high
    yield "pearson_sd", found.pearson_sd
    yield "mae", found.mae.value
    yield "rmse", found.rmse.value
    yield "p", found.p
