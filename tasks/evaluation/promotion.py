"""Whether a challenger becomes champion: decided by a paired bootstrap, recorded either way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emi_model.arrays import Floats
from emi_model.errors import LabelError, TrainingError
from emi_model.metrics.agreement import evaluate, mean_skill
from emi_model.metrics.bootstrap import FEW_GROUPS, PairedDifference, paired_difference
from tasks.labels.label_set import LabelSet
from tasks.labels.labelled_clips import CachedClip, LabelledAudio
from tasks.labels.splits import TEST, VALID
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
class DecidingClips:
    """The clips that decide.

    Attributes:
        split: that they are of.
        clips: N of them, which trained neither model.
    """

    split: str
    clips: Sequence[CachedClip]

    @property
    def sha256(self) -> str:
        """Hash (hex) over their contents."""
        contents = [clip.content_sha256 for clip in self.clips]
        return hashlib.sha256(json.dumps(contents).encode()).hexdigest()


def deciding_split(gathered: LabelledAudio) -> str:
    """Return the split whose clips decide: ``test``, or ``valid`` if no test clip can be read."""
    return TEST if gathered.of_split(TEST) else VALID


def deciding_clips(gathered: LabelledAudio, trained_on: Collection[str]) -> DecidingClips:
    """Return the clips that decide.

    Args:
        gathered: with the splits ``valid`` and ``test``.
        trained_on: hashes (hex) of the clips that the champion was trained on: they are left out.

    Raises:
        LabelError: no clip is left.
    """
    split = deciding_split(gathered)
    clips = [clip for clip in gathered.of_split(split) if clip.content_sha256 not in trained_on]
    if not clips:
        raise LabelError(
            f"found no clip of the split {split!r} that the champion was not trained on, expected "
            "some to decide by: label some"
        )
    return DecidingClips(split, clips)


@dataclass(frozen=True)
class Contest:
    """Two models on the same clips.

    Attributes:
        labels: of the clips.
        deciding: the clips, N of them.
        champion: predictions (N, T) of the champion; None if there is none.
        challenger: predictions (N, T) of the challenger.
    """

    labels: LabelSet
    deciding: DecidingClips
    champion: NDArray[np.float64] | None
    challenger: NDArray[np.float64]

    @property
    def truth(self) -> Floats:
        """Labels (N, T) of the clips, NaN where one is missing."""
        return np.stack([clip.emi for clip in self.deciding.clips])

    @property
    def num_speakers(self) -> int | None:
        """Speakers of the clips; None unless all have one."""
        speakers = {clip.speaker for clip in self.deciding.clips}
        return len(speakers) if speakers and all(speakers) else None

    @property
    def pearsons(self) -> tuple[float | None, float | None]:
        """`mean_skill` of champion and challenger; None where undefined."""
        champion, challenger = (
            None if found is None else mean_skill(evaluate(found, self.truth, self.labels.targets))
            for found in (self.champion, self.challenger)
        )
        return champion, challenger

    def difference(self, rule: Rule) -> PairedDifference | None:
        """Return challenger minus champion in mean Pearson; None without a champion."""
        if self.champion is None:
            return None
        return paired_difference(
            self.challenger,
            self.champion,
            self.truth,
            groups=[clip.speaker for clip in self.deciding.clips],
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
        pearsons: `mean_skill` of champion and challenger on the clips; None where undefined.
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
        "split": contest.deciding.split,
        "clips_sha256": contest.deciding.sha256,
        "num_clips": len(contest.deciding.clips),
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
    store: ResultsStore,
    rule: Rule,
    champion: Version | None,
    challenger: Version,
    snapshot: str,
    deciding: DecidingClips,
) -> dict[str, Any] | None:
    """Return the row of the same decision, if it was made: a retraining that was cut short.

    One on other clips, as those of a corpus that has been repaired since, is another decision, and
    so is one of which an earlier version did not record the clips.
    """
    wanted = {
        "name": challenger.name,
        "champion_sha256": None if champion is None else champion.sha256,
        "challenger_sha256": challenger.sha256,
        "snapshot": snapshot,
        "split": deciding.split,
        "clips_sha256": deciding.sha256,
        "level": rule.level,
        "margin": rule.margin,
    }
    for part in reversed(store.parts(DECISIONS)):
        (row,) = store.read(part).to_pylist()
        if {name: row.get(name) for name in wanted} == wanted:
            found: dict[str, Any] = row
            return found
    return None
