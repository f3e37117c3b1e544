"""The ledger of a pass: which worker holds which clips, for when one of them dies."""

from __future__ import annotations

from typing import Any

EXTRACT, SCORE = "extract", "score"
"""The stages."""


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
