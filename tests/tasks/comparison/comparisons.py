"""Comparisons on a few short clips, and outcomes nobody trained for."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.comparison.axes import Axes, variants_of
from tasks.comparison.cell import CellOutcome, Measured
from tasks.comparison.plan import Comparison, plan_comparison, plan_systems
from tasks.labels.labelled_clips import LabelledAudio

PLAN: dict[str, Any] = {"split": "valid", "num_seeds": 1, "inner_share": 0.3}


def compared(
    gathered: LabelledAudio,
    fusions: tuple[str, ...] = ("paper", "concat"),
    *,
    losses: tuple[str, ...] = (),
    settings: dict[str, object] | None = None,
    **options: Any,
) -> Comparison:
    """Return a comparison of fusions of the debug recipe."""
    variants = variants_of(Axes(("debug",), (), fusions, losses, settings or {}))
    return plan_comparison(gathered, plan_systems(variants), **{**PLAN, **options})


def predicted(comparison: Comparison, noise: float, seed: int = 0) -> CellOutcome:
    """Return the outcome of a training that gives the labels and some noise."""
    labels = np.stack([clip.emi for clip in comparison.clips.measured or ()])
    random = np.random.default_rng(seed).standard_normal(labels.shape)
    scores = (labels + noise * random).clip(0, 1).astype(np.float32)
    return CellOutcome({}, 2, 1234, 1.5, 2**20, Measured(scores, 0, 10.0))
