"""What a comparison of groups says in words, and what has to be said against it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from emi_model.metrics.bootstrap import FEW_GROUPS
from emi_model.metrics.group_cells import Cells
from emi_model.metrics.group_means import GroupComparison, GroupDifference
from emi_model.metrics.speaker_draws import FEWEST_SPEAKERS

if TYPE_CHECKING:
    from tasks.asking.groups import GroupScope

CERTAIN = 0.05
_MAX_SENTENCES = 12


def group_sentences(comparison: GroupComparison) -> tuple[str, ...]:
    """Return a sentence for each difference that is hardly chance, or one that says there is none.

    Args:
        comparison: of any groups.
    """
    tested = [one for one in comparison.differences if one.p_holm is not None]
    if not tested:
        return ()
    certain = [one for one in tested if one.p_holm is not None and one.p_holm < CERTAIN]
    if not certain:
        counted = "The difference" if len(tested) == 1 else f"None of {len(tested)} differences"
        is_none = " may be chance" if len(tested) == 1 else " is more than chance may give"
        return (f"{counted}{is_none} (p_holm {CERTAIN} or more): that proves no equality.",)
    found = [_sentence(one, comparison, len(tested)) for one in certain[:_MAX_SENTENCES]]
    more = len(certain) - _MAX_SENTENCES
    return (*found, *([f"And {more} differences more."] if more > 0 else []))


def _sentence(one: GroupDifference, comparison: GroupComparison, num_tests: int) -> str:
    value, low, high = one.difference.value, one.difference.low, one.difference.high
    if value is None or low is None or high is None or one.p_holm is None:
        return ""
    word = "higher" if value > 0 else "lower"
    ends = sorted((abs(low), abs(high))) if low * high > 0 else (low, high)
    size = "" if one.effect_size is None else f", {abs(one.effect_size):.2f} standard deviations"
    whose = " within persons" if comparison.is_within else ""
    return (
        f"{one.column} is {word} in {one.group} than in {one.other}{whose} by {abs(value):.3f} "
        f"({comparison.level:.0%} interval {ends[0]:.3f} to {ends[1]:.3f}{size}; p = "
        f"{one.p_holm:.2g}, corrected for {num_tests} differences)."
    )


def group_warnings(comparison: GroupComparison, scope: GroupScope, cells: Cells) -> tuple[str, ...]:
    """Return what limits a comparison.

    Args:
        comparison: the figures.
        scope: which clips they are of.
        cells: what they were made of.
    """
    found = [*_of_numbers(comparison, scope), *_of_left_out(scope)]
    if len(cells.groups) < 2:
        found.append(f"all clips are of one group, {scope.by} {cells.groups[0]}: no difference")
    named = cells.counts[~cells.is_loose].any(axis=2).sum(axis=1)
    several, single = int((named > 1).sum()), int((named == 1).sum())
    if several and not scope.is_within:
        found.append(
            f"{several} speakers are in several groups: --within {scope.person} compares each with "
            "themselves, which is surer"
        )
    if scope.is_within and single:
        found.append(
            f"{single} of {single + several} persons are in one group alone: they are in its mean "
            "and in no difference"
        )
    return tuple(found)


def _of_numbers(comparison: GroupComparison, scope: GroupScope) -> list[str]:
    """Return warnings of groups with few speakers."""
    people = "persons" if scope.is_within else "speakers"
    fewest: dict[str, int] = {}
    for mean in comparison.means:
        if mean.num_clips:
            before = fewest.get(mean.group, mean.num_speakers)
            fewest[mean.group] = min(before, mean.num_speakers)
    none = [name for name, number in fewest.items() if number < FEWEST_SPEAKERS]
    few = [name for name, number in fewest.items() if FEWEST_SPEAKERS <= number < FEW_GROUPS]
    found = []
    if none:
        found.append(
            f"too few {people} for an interval, {FEWEST_SPEAKERS} at least: "
            f"{_counted(none, fewest)}"
        )
    if few:
        found.append(
            f"intervals of fewer than {FEW_GROUPS} {people} are rough: {_counted(few, fewest)}"
        )
    return found


def _of_left_out(scope: GroupScope) -> list[str]:
    """Return warnings of clips without a group, or of which nobody knows who speaks."""
    found = []
    if scope.num_nameless and scope.is_within:
        found.append(f"{scope.num_nameless} clips have no {scope.person}: they are left out")
    elif scope.num_nameless:
        found.append(
            f"of {scope.num_nameless} clips nobody knows who speaks, so each counts as a speaker "
            "of its own: if speakers have several clips, the intervals are far too narrow; name "
            "them with `emi metadata speakers '{speaker}/*'`"
        )
    if scope.num_groupless:
        found.append(f"{scope.num_groupless} clips have no {scope.by}: they are left out")
    return found


def _counted(groups: Iterable[str], numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {numbers[name]}" for name in groups)
