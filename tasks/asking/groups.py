"""How do groups of clips differ, and how surely?

Who asks: a researcher with conditions, sites, sexes, before and after.

Read it so: mean is that of the group's clips; low and high are the ends of its interval at 95 %,
which counts speakers, not clips: clips of one speaker are alike. difference is the first group less
the second; p_holm is its p-value corrected for the number of differences of the table, and below
0.05 it is hardly chance; effect_size is the difference in standard deviations of the clips. With
--within each person is compared with themselves, and a group's mean is that of its persons' means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emi_model.errors import QueryError
from emi_model.metrics.group_cells import Cells
from emi_model.metrics.group_means import GroupComparison, compare_groups
from emi_model.metrics.speaker_draws import MOST_UNITS
from tasks.asking.answers import Answer, Wishes
from tasks.asking.group_words import group_sentences, group_warnings
from tasks.asking.scope import OpenClips, known_column, number_column, scores_among, with_clips
from tasks.asking.training_clips import UNRECORDED, learnt_clips
from tasks.store.queries.quoting import quoted_name

MOST_GROUPS = 12
WHO_SPOKE = "speaker"

_FACTS = """\
SELECT
    count(*) AS num_clips,
    count(*) FILTER ({by} IS NULL) AS num_groupless,
    count(*) FILTER ({by} IS NOT NULL AND {person} IS NULL) AS num_nameless,
    count(DISTINCT {by}) AS num_groups,
    count(*) FILTER (training_split = 'train') AS num_learnt,
    count(*) FILTER (training_split = 'valid') AS num_chosen_by,
    {unrecorded} AS unrecorded
FROM trusted_scores"""

_CELLS = """\
WITH chosen AS (
    SELECT
        {by}::VARCHAR AS group_name,
        {person}::VARCHAR AS person,
        clip_id,
        {columns}
    FROM trusted_scores
    WHERE {by} IS NOT NULL{named}
)
SELECT
    group_name,
    person IS NULL AS is_loose,
    coalesce(person, {loose}) AS unit,
    {figures}
FROM chosen
GROUP BY ALL
ORDER BY ALL"""


@dataclass(frozen=True)
class GroupScope:
    """Which clips a comparison of groups is about.

    Attributes:
        by: column that says which group a clip is in.
        person: column that says who speaks.
        is_within: whether persons are compared with themselves.
        columns: that are compared.
        num_clips: clips whose scores count (trusted_scores) and that meet the condition.
        num_groupless: of these, those without a group.
        num_nameless: of those in a group, those of which nobody knows who speaks.
        num_learnt: clips that the model was trained on, as their rows say.
        num_chosen_by: clips that chose the epoch of its training.
        unrecorded: the model's hash where no row of the store says what it was trained on.
    """

    by: str
    person: str
    is_within: bool
    columns: tuple[str, ...]
    num_clips: int
    num_groupless: int
    num_nameless: int
    num_learnt: int
    num_chosen_by: int
    unrecorded: str | None


@dataclass(frozen=True)
class GroupStatistics:
    """Means of groups, their differences, and how far they can be believed.

    Attributes:
        comparison: the figures.
        scope: of which clips.
        warnings: too few speakers, clips that the model was trained on, and the like.
    """

    comparison: GroupComparison
    scope: GroupScope
    warnings: tuple[str, ...]


def group_statistics(
    location: str | Path,
    by: str,
    *,
    within: str | None = None,
    where: str | None = None,
    columns: Sequence[str] = (),
    level: float = 0.95,
) -> GroupStatistics:
    """Return means of groups of a store's clips and their differences, with intervals.

    Args:
        location: of the store.
        by: column of the view clips whose values are the groups.
        within: column that names persons, each of whom is compared with themselves; default: not
            so, and the column speaker says which clips belong together.
        where: SQL, a condition on the columns of clips.
        columns: that are compared; default the EMI scores and VAD.
        level: of the intervals, in (0, 1).

    Raises:
        QueryError: no such column, too many groups, or no clip in any.
        StoreError: no store there.
    """

    def asked(clips: OpenClips) -> tuple[GroupScope, Cells]:
        scope = _scope(clips, by, within, columns, is_chosen=where is not None)
        return scope, _cells(clips, scope)

    scope, cells = with_clips(location, where, asked)
    if not columns:
        cells = cells.with_values()
    comparison = compare_groups(cells, is_within=scope.is_within, level=level)
    learnt = learnt_clips(
        location,
        where,
        (scope.num_learnt, scope.num_chosen_by),
        scope.num_clips,
        scope.unrecorded,
    )
    return GroupStatistics(comparison, scope, (*group_warnings(comparison, scope, cells), *learnt))


def ask_groups(location: str | Path, wishes: Wishes) -> Answer:
    """Return the answer to the question of this module."""
    if wishes.by is None:
        raise QueryError(
            "groups: say which column tells the groups apart, as in `emi ask groups --by "
            "condition`; `emi metadata add` brings such columns, --by folder is always there"
        )
    found = group_statistics(
        location, wishes.by, within=wishes.within, where=wishes.where, columns=wishes.columns
    )
    return Answer(
        {
            "means": pa.Table.from_pylist(mean_rows(found.comparison), _MEANS),
            "differences": pa.Table.from_pylist(difference_rows(found.comparison), _DIFFERENCES),
        },
        sentences=group_sentences(found.comparison),
        warnings=found.warnings,
    )


_WORD, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
_MEANS = pa.schema(
    [
        *(("score", _WORD), ("group", _WORD), ("mean", _NUMBER), ("low", _NUMBER)),
        *(("high", _NUMBER), ("deviation", _NUMBER)),
        *(("clips", _COUNT), ("speakers", _COUNT)),
    ]
)
_DIFFERENCES = pa.schema(
    [
        *(("score", _WORD), ("group", _WORD), ("less", _WORD), ("difference", _NUMBER)),
        *(("low", _NUMBER), ("high", _NUMBER), ("p", _NUMBER), ("p_holm", _NUMBER)),
        *(("effect_size", _NUMBER), ("clips", _COUNT), ("speakers", _COUNT)),
    ]
)


def mean_rows(comparison: GroupComparison) -> list[dict[str, Any]]:
    """Return a row a column and group."""
    return [
        {
            "score": mean.column,
            "group": mean.group,
            "mean": mean.mean.value,
            "low": mean.mean.low,
            "high": mean.mean.high,
            "deviation": mean.deviation,
            "clips": mean.num_clips,
            "speakers": mean.num_speakers,
        }
        for mean in comparison.means
    ]


def difference_rows(comparison: GroupComparison) -> list[dict[str, Any]]:
    """Return a row a column and two groups."""
    return [
        {
            "score": one.column,
            "group": one.group,
            "less": one.other,
            "difference": one.difference.value,
            "low": one.difference.low,
            "high": one.difference.high,
            "p": one.p,
            "p_holm": one.p_holm,
            "effect_size": one.effect_size,
            "clips": one.num_clips,
            "speakers": one.num_speakers,
        }
        for one in comparison.differences
    ]


def _scope(
    clips: OpenClips, by: str, within: str | None, columns: Sequence[str], *, is_chosen: bool
) -> GroupScope:
    known = clips.columns()
    by = known_column(by, known, "--by")
    person = WHO_SPOKE if within is None else known_column(within, known, "--within")
    if within is not None and person == by:
        raise QueryError(
            f"--within {person} is also --by: name the column of conditions there, of persons here"
        )
    chosen = [number_column(name, known, "--column") for name in columns]
    names = {"by": quoted_name(by), "person": quoted_name(person), "unrecorded": UNRECORDED}
    facts = clips.rows(_FACTS.format(**names)).to_pylist()[0]
    num_groups = facts.pop("num_groups")
    if not facts["num_clips"] - facts["num_groupless"]:
        meet = " that meet --where" if is_chosen else ""
        raise QueryError(
            f"{by}: none of {facts['num_clips']} clips{meet} has a value: nothing can be compared"
        )
    if num_groups > MOST_GROUPS:
        raise QueryError(
            f"--by {by}: found {num_groups} different values, expected at most {MOST_GROUPS} "
            "groups: choose some with --where, or add a column that sums them up"
        )
    if within is not None and facts["num_clips"] == facts["num_groupless"] + facts["num_nameless"]:
        raise QueryError(f"--within {person}: no clip in any group has a value there")
    chosen = chosen or scores_among(known)
    return GroupScope(by, person, within is not None, tuple(chosen), **facts)


def _cells(clips: OpenClips, scope: GroupScope) -> Cells:
    """Return what each speaker has in each group, summed up by the database."""
    columns = [f"{quoted_name(name)}::DOUBLE AS v{n}" for n, name in enumerate(scope.columns)]
    figures = [
        f"count(v{n}) AS n{n}, avg(v{n}) AS m{n}, var_pop(v{n}) AS s{n}"
        for n in range(len(scope.columns))
    ]
    many = scope.num_nameless > MOST_UNITS
    sql = _CELLS.format(
        by=quoted_name(scope.by),
        person=quoted_name(scope.person),
        columns=",\n        ".join(columns),
        figures=",\n    ".join(figures),
        loose=f"(hash(clip_id) % {MOST_UNITS})::VARCHAR" if many else "clip_id",
        named=f" AND {quoted_name(scope.person)} IS NOT NULL" if scope.is_within else "",
    )
    found = clips.rows(sql)
    groups = sorted(set(found["group_name"].to_pylist()))
    rows = list(zip(found["is_loose"].to_pylist(), found["unit"].to_pylist(), strict=True))
    units = {row: number for number, row in enumerate(dict.fromkeys(rows))}
    group = np.array([groups.index(name) for name in found["group_name"].to_pylist()])
    unit = np.array([units[row] for row in rows])
    shape = (len(units), len(groups), len(scope.columns))
    counts, means, variances = (np.zeros(shape) for _ in range(3))
    for n in range(len(scope.columns)):
        for array, name in ((counts, f"n{n}"), (means, f"m{n}"), (variances, f"s{n}")):
            array[unit, group, n] = found[name].fill_null(0).to_numpy()
    is_loose = np.array([loose for loose, _ in units])
    return Cells(scope.columns, tuple(groups), counts, means, variances, is_loose)
