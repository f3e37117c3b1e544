"""Whether a challenger becomes champion: decided by a paired bootstrap, recorded either way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emi_model.errors import TrainingError
from emi_model.metrics.bootstrap import FEW_GROUPS, PairedDifference, paired_difference
from tasks.labels.label_set import LabelSet
from tasks.labels.labelled_clips import CachedClip
from tasks.provenance import new_run_id, source_commit
from tasks.registry.version import Version
from tasks.schema.registers import register_table
from tasks.schema.tables import DECISIONS
from tasks.store.store import ResultsStore

LEVEL, MARGIN = 0.95, 0.0


@dataclass(frozen=True)
class Rule:
    """When a challenger is better.

    Attributes:
        level: confidence of the one-sided lower bound on the difference of mean Pearson, (0.5, 1).
        margin: what that bound has to exceed.
    """

    level: float = LEVEL
    margin: float = MARGIN

    def __post_init__(self) -> None:
        """Check both."""
        if not 0.5 < self.level < 1:
            raise TrainingError(f"level is {self.level}, expected between 0.5 and 1")
        if not -2 <= self.margin <= 2:
            raise TrainingError(f"margin is {self.margin}, expected a difference of correlations")


@dataclass(frozen=True)
class Contest:
    """Two models on the same clips.

    Attributes:
        labels: of the clips.
        clips: N of them, which trained neither model.
        champion: predictions (N, T) of the champion; None if there is none.
        challenger: predictions (N, T) of the challenger.
    """

    labels: LabelSet
    clips: Sequence[CachedClip]
    champion: NDArray[np.float64] | None
    challenger: NDArray[np.float64]

    @property
    def num_speakers(self) -> int | None:
        """Speakers of the clips; None unless all have one."""
        speakers = {clip.speaker for clip in self.clips}
        return len(speakers) if speakers and all(speakers) else None

    def difference(self, rule: Rule) -> PairedDifference | None:
        """Return challenger minus champion in mean Pearson; None without a champion."""
        if self.champion is None:
            return None
        return paired_difference(
            self.challenger,
            self.champion,
            np.stack([clip.emi for clip in self.clips]),
            groups=[clip.speaker for clip in self.clips],
            level=rule.level,
        )


@dataclass(frozen=True)
class Verdict:
    """What a contest led to.

    Attributes:
        promoted: the challenger becomes champion.
        reason: why, in words.
        difference: challenger minus champion; None without a champion.
    """

    promoted: bool
    reason: str
    difference: PairedDifference | None


def decide(contest: Contest, rule: Rule) -> Verdict:
    """Return whether the challenger becomes champion: only if it is better beyond doubt.

    It is if the one-sided lower bound of the paired bootstrap, speakers drawn whole, on the
    difference of mean Pearson exceeds the margin. Where that cannot be computed, it is not.
    """
    if contest.champion is None:
        return Verdict(True, "there was no champion", None)
    found = contest.difference(rule)
    assert found is not None, "there is a champion"
    if found.low is None or found.difference is None:
        return Verdict(False, "nothing can be said: too few speakers or constant labels", found)
    few = f" (rough: {found.num_groups} speakers)" if found.num_groups < FEW_GROUPS else ""
    bound = f"its lower bound at {rule.level:g} is {found.low:+.3f}{few}"
    comparison = f"mean Pearson differs by {found.difference:+.3f}, {bound}, margin {rule.margin:g}"
    if found.low > rule.margin:
        return Verdict(True, f"better: {comparison}", found)
    return Verdict(False, f"not better beyond doubt: {comparison}", found)


def record_decision(
    store: ResultsStore,
    contest: Contest,
    verdict: Verdict,
    rule: Rule,
    *,
    champion: Version | None,
    challenger: Version,
    pearsons: tuple[float | None, float | None],
    seed: int,
) -> dict[str, Any]:
    """Write a decision to the store; returns its row.

    Args:
        store: where the labels are.
        contest: what was compared.
        verdict: what came of it.
        rule: by which.
        champion: the version that was champion; None if there was none.
        challenger: the version that wanted to be.
        pearsons: mean Pearson of champion and challenger on the clips; None where undefined.
        seed: of the challenger's training.
    """
    decision_id, difference = new_run_id(), verdict.difference
    row = {
        "decision_id": decision_id,
        "decided_at": datetime.now(UTC),
        "name": challenger.name,
        "champion": None if champion is None else str(champion.number),
        "champion_sha256": None if champion is None else champion.sha256,
        "challenger": str(challenger.number),
        "challenger_sha256": challenger.sha256,
        "snapshot": contest.labels.snapshot,
        "split_sha256": contest.labels.split_sha256,
        "num_clips": len(contest.clips),
        "num_speakers": contest.num_speakers,
        "champion_pearson": pearsons[0],
        "challenger_pearson": pearsons[1],
        "difference": None if difference is None else difference.difference,
        "difference_low": None if difference is None else difference.low,
        "level": rule.level,
        "margin": rule.margin,
        "promoted": verdict.promoted,
        "reason": verdict.reason,
        "recipe": challenger.tags.get("recipe"),
        "seed": seed,
        "commit": source_commit(),
    }
    store.record(DECISIONS, decision_id, register_table(DECISIONS, [row]))
    return row


def decided_before(
    store: ResultsStore, rule: Rule, champion: Version | None, challenger: Version, snapshot: str
) -> dict[str, Any] | None:
    """Return the row of the same decision, if it was made: a retraining that was cut short."""
    wanted = {
        "name": challenger.name,
        "champion_sha256": None if champion is None else champion.sha256,
        "challenger_sha256": challenger.sha256,
        "snapshot": snapshot,
        "level": rule.level,
        "margin": rule.margin,
    }
    for part in reversed(store.parts(DECISIONS)):
        (row,) = store.read(part).to_pylist()
        if {name: row[name] for name in wanted} == wanted:
            found: dict[str, Any] = row
            return found
    return None
