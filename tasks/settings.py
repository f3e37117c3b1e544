"""What every worker of a run needs to know. Light to import: decoders must not carry PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emi_model.config import Precision

Coverage = Literal["first", "full"]


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
