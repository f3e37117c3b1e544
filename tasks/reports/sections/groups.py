"""Section: means of groups of clips and their differences, with intervals over speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from emi_model.errors import QueryError
from emi_model.metrics.bootstrap import Estimate
from emi_model.metrics.group_cells import Cells
from emi_model.metrics.group_means import (
    GroupComparison,
    GroupDifference,
    GroupMean,
    compare_groups,
)
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
from tasks.reports.questions import Questions, column_in_sql
from tasks.schema.outcomes import DOUBTFUL

MAX_GROUPS = 12
MAX_OWN_GROUPS = 6
"""Of a column that the report chooses by itself."""

MAX_DIFFERENCES = 60
REPORT_RESAMPLES = 2_000
LOOSE_BATCHES = 5_000
"""Clips without a speaker are summed up in so many random batches, so that no row is read; means of
batches spread as means of clips do (`emi_model.metrics.speaker_draws.MOST_UNITS`)."""

_NONE = (
    "There is no column of 2 to {most} groups: emi metadata add FILE --results DIR brings "
    "conditions of a study, --by COLUMN names one of any kind."
)


def groups_section(questions: Questions, by: str | None) -> ReportSection:
    """Return the section.

    Args:
        questions: to the store.
        by: column of the view clips that makes the groups, `checked_group_column`; None: the first
            of the study's own with few values, else the folder.
    """
    column = by or _chosen(questions)
    if column is None:
        return _without(_NONE.format(most=MAX_OWN_GROUPS))
    cells = _cells(questions, column)
    if cells is None:
        return _without(f"No scored clip has a value in {column}.")
    found = compare_groups(cells, num_resamples=REPORT_RESAMPLES)
    loose = int(cells.counts[cells.is_loose].max(axis=2).sum())
    lead = [
        f"Means by {column}. The bars are {percent(found.level, 0)} intervals over speakers: whole "
        f"speakers were drawn {found.num_resamples:,} times, since clips of one speaker are no "
        "independent evidence. With fewer than five speakers a group has no interval."
    ]
    if loose:
        lead.append(
            f"{of_clips(loose)} name no speaker, and each counts for itself: if they are of few "
            "people, the intervals are too narrow."
        )
    span = max(high - low for low, high in (_ends(one, found) for one in cells.columns))
    figures = [_figure(name, found, span) for name in cells.columns]
    return ReportSection(
        "groups",
        "Groups",
        lead=lead,
        tables=[_differences(found)] if found.differences else (),
        groups=[FigureGroup("", figures)],
    )


def _without(why: str) -> ReportSection:
    return ReportSection("groups", "Groups", missing=[why])


def checked_group_column(questions: Questions, by: str) -> str:
    """Return a column that can make groups.

    Raises:
        QueryError: there is no such column, or it has more values than `MAX_GROUPS`.
    """
    if by not in questions.of_clips:
        near = get_close_matches(by, questions.of_clips, 1)
        meant = f": did you mean {near[0]}?" if near else ": `DESCRIBE clips` lists them"
        raise QueryError(f"--by {by}: the view clips has no such column{meant}")
    number = questions.row(f"SELECT count(DISTINCT {column_in_sql(by)}) AS n FROM clips")["n"]
    if number > MAX_GROUPS:
        raise QueryError(
            f"--by {by}: found {number} values, expected at most {MAX_GROUPS}: choose a column of "
            "fewer"
        )
    return by


def _chosen(questions: Questions) -> str | None:
    """Return the first of the study's own columns with few values, else the folder; or None."""
    own = [*questions.of_study, "folder"]
    wanted = ", ".join(
        f"count(DISTINCT {column_in_sql(name)}) AS n{at}" for at, name in enumerate(own)
    )
    counts = questions.row(f"SELECT {wanted} FROM clips WHERE {_TRUSTED}").values()
    few = (name for name, n in zip(own, counts, strict=True) if 2 <= n <= MAX_OWN_GROUPS)
    return next(few, None)


_TRUSTED = f"status = 'scored' AND NOT list_has_any(flags, {[str(flag) for flag in DOUBTFUL]})"


def _cells(questions: Questions, by: str) -> Cells | None:
    """Return what each speaker has in each group, by one question."""
    columns = questions.scored
    wanted = ", ".join(
        f"count({name}) AS n{at}, avg({name}) AS m{at}, var_pop({name}) AS v{at}"
        for at, name in enumerate(map(column_in_sql, columns))
    )
    rows = questions.rows(
        f"SELECT {column_in_sql(by)}::VARCHAR AS name, coalesce(speaker, "
        f"(hash(clip_id) % {LOOSE_BATCHES})::VARCHAR) AS who, speaker IS NULL AS is_loose, "
        f"{wanted}\nFROM clips\nWHERE {_TRUSTED} AND {column_in_sql(by)} IS NOT NULL\n"
        "GROUP BY ALL\nORDER BY name, is_loose, who"
    )
    kept = [at for at in range(len(columns)) if any(row[f"n{at}"] for row in rows)]
    if not kept:
        return None
    names = list(dict.fromkeys(row["name"] for row in rows))
    speakers = list(dict.fromkeys((row["who"], row["is_loose"]) for row in rows))
    place = {speaker: at for at, speaker in enumerate(speakers)}
    at = (
        [place[row["who"], row["is_loose"]] for row in rows],
        [names.index(r["name"]) for r in rows],
    )
    counts, means, variances = (
        _filled(rows, at, (len(speakers), len(names)), kind, kept) for kind in "nmv"
    )
    loose = np.array([is_loose for _, is_loose in speakers], bool)
    filled = tuple(columns[one] for one in kept)
    return Cells(filled, tuple(names), counts, means, variances, loose)


def _filled(
    rows: Sequence[Mapping[str, Any]],
    at: tuple[list[int], list[int]],
    shape: tuple[int, int],
    kind: str,
    kept: Sequence[int],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a figure of the rows as (speakers, groups, columns), 0 where there is none."""
    filled = np.zeros((*shape, len(kept)))
    filled[at] = [[row[f"{kind}{one}"] or 0.0 for one in kept] for row in rows]
    return filled


def _ends(column: str, found: GroupComparison) -> tuple[float, float]:
    """Return the smallest and the largest figure of a column's groups."""
    means = [one.mean for one in found.means if one.column == column]
    known = [at for one in means for at in (one.value, one.low, one.high) if at is not None]
    return min(known), max(known)


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
