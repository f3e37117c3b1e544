"""What is made of passes that fail: how many may in a row, what the log and the rows say."""

from __future__ import annotations

import logging
from collections.abc import Collection

from emi_model.errors import ScoringError
from tasks.scoring.stages.stage import PassFailed

_LOGGER = logging.getLogger(__name__)

MAX_CLIP_DEATHS = 2
"""Deaths after which a clip is rejected: once among the suspects, once alone with the worker."""

MAX_IDLE_DEATHS = 3
"""Passes in a row that may die without a suspect and without a row before the run gives up."""

MAX_FRUITLESS = 3
"""Passes in a row in this process that may end with an error and without a row: then it is not the
clips' fault. Clips that are tried one at a time may each end so, once a row was made."""

MAX_IDLE_LOSSES = 5
"""Passes in a row that may end with a lost node and without a row before the run gives up."""


class FailureBudget:
    """Counts failed passes in a row, and raises when there are too many."""

    def __init__(self) -> None:
        """Start without any."""
        self._deaths = self._losses = self._fruitless = 0
        self._is_new = True  # no row was made

    def renew(self) -> None:
        """Begin anew: a row was made."""
        self._deaths = self._losses = self._fruitless = 0
        self._is_new = False

    def count(self, death: PassFailed, suspects: Collection[str], *, single: bool) -> None:
        """Count a failed pass.

        Raises:
            ScoringError: too many failed in a row.
        """
        self._fruitless += bool(death.is_alive and suspects and (self._is_new or not single))
        if self._fruitless == MAX_FRUITLESS:
            raise ScoringError(
                f"{death}: {MAX_FRUITLESS} times in a row, whatever the clips: what was committed "
                "stays; the log of this run has the whole error"
            ) from death
        if death.lost:
            self._losses += 1
        elif not suspects:
            self._deaths += 1
        else:
            self._deaths = 0
        if self._losses == MAX_IDLE_LOSSES:
            raise ScoringError(
                f"nodes were lost {self._losses} times in a row before a clip was done: {death}: "
                "look at the cluster; what was committed stays, the same command goes on from there"
            ) from death
        if self._deaths == MAX_IDLE_DEATHS:
            raise ScoringError(f"workers die before they take a clip: {death}") from death


def log_failure(death: PassFailed, suspects: Collection[str]) -> None:
    """Write why a pass failed, and with which clips, into the log."""
    if death.lost:
        _LOGGER.warning("nodes were lost: %s: %s", sorted(death.lost), death)
    elif death.is_alive:
        _LOGGER.warning(
            "an error with %s: %s", sorted(suspects) or "no clip", death, exc_info=death
        )
    else:
        _LOGGER.warning("a worker died holding %s: %s", sorted(suspects) or "no clip", death)


def detail_of(death: PassFailed) -> str:
    """Return what the row of a clip says with which passes failed until it was alone."""
    happened = f"{death}:" if death.is_alive else "the worker process died"
    return f"{happened} {MAX_CLIP_DEATHS} times with this clip, the last time alone"
