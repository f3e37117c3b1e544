"""What flows return: a scan, a training, a decision."""

from __future__ import annotations

from typing import Any

RECORD: dict[str, Any] = {
    "run_id": "r1",
    "made": "scores",
    "model_sha256": "aa",
    "coverage": "first",
    "num_listed": 10,
    "num_scored": 7,
    "num_rejected": 2,
    "num_skipped": 1,
    "reasons": {"too_short": 2},
    "flags": {"silent": 3},
    "audio_seconds": 7_200.0,
    "wall_seconds": 60.0,
    "audio_hours_per_hour": 120.0,
}
TRAINING: dict[str, Any] = {
    "reference": "models:/emi/3",
    "version": 3,
    "aliases": [],
    "folder": "/models/3",
    "trained_before": False,
    "epoch": 7,
    "num_epochs": 30,
    "seconds": 61.4,
    "num_train": 80,
    "num_valid": 40,
    "mean_pearson": 0.61234,
    "mean_pearson_low": 0.5,
    "mean_pearson_high": None,
    "missing": {},
}
DECISION: dict[str, Any] = {
    "training": TRAINING,
    "promoted": True,
    "reason": "better: by far",
    "champion": "2",
    "champion_pearson": 0.4,
    "challenger": "3",
    "challenger_pearson": None,
    "num_clips": 40,
}
