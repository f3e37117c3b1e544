"""Labelled clips without any audio, and a report on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.evaluate import evaluate_predictions
from tasks.evaluation.report import EvaluationReport
from tasks.labels.label_set import LabelledRow, LabelSet

TARGETS = ("Awe", "Sheer Joy")


def labelled_rows(
    num_clips: int, *, split: str = "valid", num_speakers: int = 4, seed: int = 0
) -> list[LabelledRow]:
    """Return clips with random labels of `TARGETS`; their contents are called c0, c1, ..."""
    labels = np.random.default_rng(seed).uniform(size=(num_clips, len(TARGETS)))
    return [
        LabelledRow(
            clip_id=f"{number:03d}.wav",
            content_sha256=f"c{number}",
            emi=emi.astype(np.float32),
            vad=None,
            speaker=f"s{number % num_speakers}" if num_speakers else "",
            split=split,
        )
        for number, emi in enumerate(labels)
    ]


def label_set(rows: list[LabelledRow], targets: tuple[str, ...] = TARGETS) -> LabelSet:
    return LabelSet("ab" * 32, 1, targets, tuple(rows))


def near(rows: list[LabelledRow], noise: float = 0.2, seed: int = 1) -> NDArray[np.float64]:
    """Return predictions (N, T) that follow the labels, not quite."""
    labels = np.array([row.emi for row in rows], np.float64)
    found: NDArray[np.float64] = labels + noise * np.random.default_rng(seed).standard_normal(
        labels.shape
    )
    return found.clip(0.0, 1.0)


def report_on(rows: list[LabelledRow], **replaced: Any) -> EvaluationReport:
    """Return the report on a model that follows these labels; keywords replace arguments."""
    plain: dict[str, Any] = {
        "predictions": near(rows),
        "clips": rows,
        "model": "tiny",
        "model_sha256": "aa" * 32,
        "targets": TARGETS,
        "labels": label_set(rows),
        "split": "valid",
        "missing": {},
    }
    return evaluate_predictions(**{**plain, **replaced})
