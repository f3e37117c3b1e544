"""The contributions to a clip's scores, and their mean over its windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from emi_model.arrays import Doubles


class Kind(StrEnum):
    """What a contribution is of."""

    MODALITY = "modality"
    """Of an input: its exact Shapley value."""
    SECOND = "second"
    """Of a second: the score minus the score without it."""
    REMAINDER = "remainder"
    """Of the seconds together: what their own contributions leave over."""


@dataclass(frozen=True)
class Contribution:
    """What one part of a clip adds to its scores.

    Attributes:
        kind: what it is of.
        value: (targets,), what it adds.
        name: of the modality.
        reference: what stands in the modality's place where it is left out.
        start: of the second, in samples at 16 kHz.
        end: of the second, exclusive.
    """

    kind: Kind
    value: Doubles
    name: str | None = None
    reference: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Attribution:
    """Where the scores of a clip come from.

    Modalities: ``base`` and their values add up to ``score``. Seconds: ``silent_base``, their
    values and the remainder do.

    Attributes:
        score: (targets,), of the whole clip, not clipped, computed in float32.
        base: (targets,), with none of its modalities.
        silent_base: (targets,), with every second left out; what has no time, as text, stays.
        contributions: modalities first, in the model's order, then seconds, then the remainder.
    """

    score: Doubles
    base: Doubles
    silent_base: Doubles
    contributions: tuple[Contribution, ...]

    def of(self, *kinds: Kind) -> tuple[Contribution, ...]:
        """Return the contributions of some kinds."""
        return tuple(one for one in self.contributions if one.kind in kinds)

    def base_of(self, kind: Kind) -> Doubles:
        """Return what contributions of a kind are added to."""
        return self.base if kind is Kind.MODALITY else self.silent_base

    @property
    def gap(self) -> float:
        """Largest difference between the score and a base with its contributions."""
        gaps = [0.0]
        for kinds in ((Kind.MODALITY,), (Kind.SECOND, Kind.REMAINDER)):
            found = self.of(*kinds)
            if found:
                whole = self.base_of(kinds[0]) + sum(one.value for one in found)
                gaps.append(float(np.abs(whole - self.score).max(initial=0.0)))
        return max(gaps)


class Window(NamedTuple):
    """A window of a clip, in samples at 16 kHz, and where its scores come from."""

    start: int
    end: int
    attribution: Attribution


def over_windows(windows: Sequence[Window]) -> Attribution:
    """Return the attribution of the mean over windows, weighted by their durations.

    The mean of Shapley values is the Shapley value of the mean. A modality that a window lacks
    contributes 0 there. Seconds are counted from the clip's first sample.
    """
    total = sum(end - start for start, end, _ in windows)
    shares = [(end - start) / total for start, end, _ in windows]
    every = [one for _, _, one in windows]

    def mean(values: Sequence[Doubles]) -> Doubles:
        return np.asarray(sum(share * value for share, value in zip(shares, values, strict=True)))

    modalities: dict[str | None, Contribution] = {}
    seconds: list[Contribution] = []
    for share, (start, _, found) in zip(shares, windows, strict=True):
        for one in found.of(Kind.MODALITY):
            before = modalities[one.name].value if one.name in modalities else 0.0
            modalities[one.name] = replace(one, value=before + share * one.value)
        seconds += [
            replace(
                one,
                value=share * one.value,
                start=start + (one.start or 0),
                end=start + (one.end or 0),
            )
            for one in found.of(Kind.SECOND)
        ]
    score, silent = mean([one.score for one in every]), mean([one.silent_base for one in every])
    rest = remainder(score, silent, seconds)
    return Attribution(
        score, mean([one.base for one in every]), silent, (*modalities.values(), *seconds, *rest)
    )


def remainder(
    score: Doubles, silent_base: Doubles, seconds: Sequence[Contribution]
) -> tuple[Contribution, ...]:
    """Return what seconds leave over of a score, as a contribution; none without seconds."""
    if not seconds:
        return ()
    value = score - silent_base - sum(one.value for one in seconds)
    return (Contribution(Kind.REMAINDER, value),)
