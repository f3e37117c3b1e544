"""Section: means of groups of clips and their differences, as `emi ask groups` gives them."""

from __future__ import annotations

from collections.abc import Sequence

from emi_model.metrics.bootstrap import Estimate
from emi_model.metrics.group_means import GroupComparison, GroupDifference, GroupMean
from tasks.asking.group_words import group_sentences
from tasks.asking.groups import group_statistics
from tasks.reports.drawing.lines import Interval, intervals
from tasks.reports.page import (
    FigureGroup,
    ReportFigure,
    ReportSection,
    ReportTable,
    of_clips,
    percent,
    shown,
    titled,
)
from tasks.reports.questions import Questions
from tasks.reports.sections.distributions import NO_SCORES
from tasks.store.queries.quoting import quoted_name

MAX_OWN_GROUPS = 6
"""Of a column that the report chooses by itself."""

MAX_DIFFERENCES = 60

_NONE = (
    f"There is no column of 2 to {MAX_OWN_GROUPS} groups: emi metadata add FILE --results DIR "
    "brings conditions of a study, --by COLUMN names one of any kind."
)


def groups_section(questions: Questions, by: str | None) -> ReportSection:
    """Return the section.

    Args:
        questions: to the store.
        by: column of the view clips that makes the groups; None: the first of the study's own with
            few values, else the folder.

    Raises:
        QueryError: there is no such column, or it has too many values.
    """
    number, chosen = _chosen(questions)
    column = by or chosen
    if not number or column is None:
        return ReportSection("groups", "Groups", missing=[_NONE if number else NO_SCORES])
    found = group_statistics(questions.location, column)
    comparison = found.comparison
    lead = [
        f"Means by {column}. The bars are {percent(comparison.level, 0)} intervals over speakers, "
        "whole speakers drawn again and again, since clips of one speaker are no independent "
        "evidence.",
        *group_sentences(comparison),
        *(f"{warning[:1].upper()}{warning[1:]}." for warning in found.warnings),
    ]
    columns = list(dict.fromkeys(mean.column for mean in comparison.means))
    span = max(high - low for low, high in (_ends(one, comparison) for one in columns))
    return ReportSection(
        "groups",
        "Groups",
        lead=lead,
        tables=[_differences(comparison)] if comparison.differences else (),
        groups=[FigureGroup("", [_figure(name, comparison, span) for name in columns])],
    )


def _chosen(questions: Questions) -> tuple[int, str | None]:
    """Return the number of clips, and the column: the study's first of few values, or folder."""
    own = [*questions.of_study, "folder"]
    wanted = ", ".join(
        f"count(DISTINCT {name}) AS n{at}" for at, name in enumerate(map(quoted_name, own))
    )
    found = questions.row(
        f"SELECT count(*) AS n, {wanted}\nFROM clips SEMI JOIN trusted_scores USING (clip_id)"
    )
    number = found.pop("n")
    few = (name for name, n in zip(own, found.values(), strict=True) if 2 <= n <= MAX_OWN_GROUPS)
    return number, next(few, None)


def _ends(column: str, found: GroupComparison) -> tuple[float, float]:
    """Return the smallest and the largest figure of a column's groups."""
    means = [one.mean for one in found.means if one.column == column]
    known = [at for one in means for at in (one.value, one.low, one.high) if at is not None]
    return min(known, default=0.0), max(known, default=0.0)


def _figure(column: str, found: GroupComparison, span: float) -> ReportFigure:
    """Return a column's means by group; the axes of all columns are as long as ``span``."""
    means = [one for one in found.means if one.column == column]
    title = titled(column)
    rows = [_interval(one.group, one.mean) for one in means]
    told = ", ".join(f"{one.group} {shown(one.mean.value)}" for one in means)
    words = f"Mean {column} with its interval over speakers: {told}."
    middle = sum(_ends(column, found)) / 2
    ends = (middle - span / 2, middle + span / 2)
    drawing = intervals(f"{title} by group", words, rows, "mean", ends=ends)
    number = sum(one.num_clips for one in means)
    return ReportFigure(title, drawing, of_clips(number), _means(title, means))


def _interval(name: str, found: Estimate) -> Interval:
    return Interval(name, found.value, found.low, found.high)


def _means(title: str, means: Sequence[GroupMean]) -> ReportTable:
    return ReportTable(
        f"{title} by group",
        ["group", "mean", "low", "high", "sd", "clips", "speakers"],
        [
            [
                *(one.group, one.mean.value, one.mean.low, one.mean.high),
                *(one.deviation, one.num_clips, one.num_speakers),
            ]
            for one in means
        ],
    )


def _differences(found: GroupComparison) -> ReportTable:
    """Return the differences, those that are least likely chance first."""
    ordered = sorted(found.differences, key=_surely)
    left = len(ordered) - MAX_DIFFERENCES
    more = f", the {MAX_DIFFERENCES} surest of {len(ordered)}" if left > 0 else ""
    return ReportTable(
        f"Differences between groups{more}; p is Holm's, for all {len(ordered)} at once",
        ["score", "group", "less", "difference", "low", "high", "d", "p", "clips", "speakers"],
        [
            [
                *(titled(one.column), one.group, one.other),
                *(one.difference.value, one.difference.low, one.difference.high),
                *(one.effect_size, one.p_holm, one.num_clips, one.num_speakers),
            ]
            for one in ordered[:MAX_DIFFERENCES]
        ],
    )


def _surely(one: GroupDifference) -> tuple[float, float]:
    return (1.0 if one.p_holm is None else one.p_holm, -abs(one.effect_size or 0.0))
