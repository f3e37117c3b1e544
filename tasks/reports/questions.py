"""What a report asks of a store: aggregates alone, made of the columns that the store has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from emi_model.targets import VAD_DIMENSIONS
from tasks.schema.registers import labels_schema
from tasks.schema.scores import scores_schema, target_columns
from tasks.schema.tables import EVALUATIONS, LABELS, RUNS, SCORES, TIMELINE
from tasks.storage.formats import plain_rows
from tasks.store.bounds import bounded_answer, interruptible
from tasks.store.queries.clip_views import CLIPS
from tasks.store.queries.quoting import quoted_name
from tasks.store.readers import query_error, read_whole
from tasks.store.store import open_store
from tasks.store.views import connect, first_line

_Made = TypeVar("_Made")

BINS = 20
"""Of a score, in [0, 1]."""

BEYOND = 1.0
"""How far outside [0, 1] VAD is told apart; what lies further out counts as this."""

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


ASKED = (
    *(SCORES, "trusted_scores", "all_scores", TIMELINE, LABELS, "label_snapshots"),
    *(CLIPS, EVALUATIONS, RUNS),
)
"""The views that a report asks."""


class Questions:
    """Asks one opened store: its views are made once, and every question sees the same parts.

    Attributes:
        location: of the store, for questions that others ask of it.
        targets: columns of scores that a model predicts, VAD aside.
        labelled: columns of labels that raters gave, VAD at the end.
        columns: all of scores: an earlier version's store may lack some.
        of_clips: all of the view clips: those of scores, folder, speaker, the study's own.
    """

    def __init__(self, location: str, connection: duckdb.DuckDBPyConnection) -> None:
        """Take a store's location, and a connection with its views `ASKED`."""
        self.location = location
        self._connection = connection
        scores = self._answer(f"FROM {SCORES} LIMIT 0").schema
        labels = self._answer(f"FROM {LABELS} LIMIT 0").schema
        rated = [name for name in VAD_DIMENSIONS if name in labels.names]
        self.targets = target_columns(scores.names, scores_schema(()))
        self.labelled = (*target_columns(labels.names, labels_schema(())), *rated)
        self.columns = frozenset(scores.names)
        self.of_clips = tuple(self._answer(f"FROM {CLIPS} LIMIT 0").schema.names)

    @property
    def scored(self) -> tuple[str, ...]:
        """The columns of scores: targets, then VAD."""
        return (*self.targets, *VAD_DIMENSIONS)

    @property
    def of_study(self) -> list[str]:
        """The study's own columns: those of metadata."""
        return [name for name in self.of_clips if name not in {*self.columns, "folder", "speaker"}]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the answer to a question.

        Raises:
            QueryError: it takes more memory than it may, or a part cannot be read.
        """
        return list(plain_rows(self._answer(sql)))

    def row(self, sql: str) -> dict[str, Any]:
        """Return the only row of an answer."""
        (found,) = self.rows(sql)
        return found

    def columns_of(self, view: str, columns: Sequence[str]) -> str:
        """Return a SELECT of some columns of a view; those that it lacks are null.

        The files of an earlier version may lack some where they cannot be written.
        """
        there = self._answer(f"FROM {view} LIMIT 0").schema.names
        wanted = (name if name in there else f"NULL AS {name}" for name in columns)
        return f"(SELECT {', '.join(wanted)} FROM {view})"

    def _answer(self, sql: str) -> pa.Table:
        def ask(begun: Callable[[duckdb.DuckDBPyConnection], None]) -> pa.Table:
            begun(self._connection)
            return bounded_answer(self._connection, sql)

        try:
            return interruptible(ask)
        except duckdb.Error as error:
            raise query_error(error, first_line(error)) from error


def asked(location: str, work: Callable[[Questions], _Made]) -> _Made:
    """Return what some work makes of a store that is opened once for all its questions.

    Args:
        location: of the store.
        work: called with what asks; again if parts were compacted away meanwhile, or if one is
            damaged, which is passed over then.

    Raises:
        QueryError: a question takes more memory than it may.
        StoreError: there is no store, or it cannot be read.
    """
    open_store(location)

    def attempt(verified: bool) -> _Made:
        with connect(location, views=ASKED, verified=verified) as connection:
            return work(Questions(location, connection))

    return read_whole(location, attempt)


@dataclass(frozen=True)
class Summary:
    """What the clips' values of a column look like.

    Attributes:
        num_clips: with a value.
        mean: of them; this and what follows is None without clips.
        deviation: standard deviation.
        quantiles: at 5, 25, 50, 75 and 95 %.
        bins: clips by bin of a `BINS`-th of [0, 1]; 1 itself belongs to the last of a score.
    """

    num_clips: int
    mean: float | None
    deviation: float | None
    quantiles: Sequence[float | None]
    bins: Mapping[int, int]


def summaries(questions: Questions, view: str, columns: Sequence[str]) -> dict[str, Summary]:
    """Return the summary of each of some columns that holds a value, by one question."""
    wanted = ",\n".join(
        f"{{'n': count({column}), 'mean': avg({column}), 'sd': stddev_samp({column}), "
        f"'at': quantile_cont({column}, {list(_QUANTILES)}), "
        f"'bins': histogram({_bin(name)})}} AS c{place}"
        for place, (name, column) in enumerate((name, quoted_name(name)) for name in columns)
    )
    found = questions.row(f"SELECT {wanted}\nFROM {view}")
    every = {
        name: Summary(one["n"], one["mean"], one["sd"], one["at"] or (), one["bins"] or {})
        for name, one in zip(columns, found.values(), strict=True)
    }
    return {name: summary for name, summary in every.items() if summary.num_clips}


@dataclass(frozen=True)
class Correlations:
    """Pearson's correlations of each two of some columns.

    Attributes:
        columns: those that hold a value.
        num_clips: with a value, of each of these columns.
        found: by (row, column) of these columns, row after column; None where it is undefined, or
            of too few clips.
    """

    columns: Sequence[str]
    num_clips: Sequence[int]
    found: Mapping[tuple[int, int], float | None]


def correlations(
    questions: Questions, view: str, columns: Sequence[str], fewest: int
) -> Correlations:
    """Return the correlations of some columns, each over the clips that have both values.

    Args:
        questions: to the store.
        view: that has the columns.
        columns: of numbers.
        fewest: clips with both values; of fewer the correlation is None.
    """
    names = [quoted_name(name) for name in columns]
    pairs = [(row, column) for row in range(len(names)) for column in range(row)]
    wanted = [f"count({name}) AS n{place}" for place, name in enumerate(names)]
    both = [(row, column, f"({names[row]}, {names[column]})") for row, column in pairs]
    wanted += [
        f"CASE WHEN regr_count{two} >= {fewest} THEN corr{two} END AS r{row}_{column}"
        for row, column, two in both
    ]
    found = questions.row(f"SELECT {', '.join(wanted)}\nFROM {view}")
    kept = [place for place in range(len(names)) if found[f"n{place}"]]
    return Correlations(
        [columns[place] for place in kept],
        [found[f"n{place}"] for place in kept],
        {
            (row, column): _defined(found[f"r{kept[row]}_{kept[column]}"])
            for row in range(len(kept))
            for column in range(row)
        },
    )


def _defined(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _bin(name: str) -> str:
    value = f"floor({quoted_name(name)} * {BINS}::FLOAT)"
    if name in VAD_DIMENSIONS:
        low, high = int(-BEYOND * BINS), int((1 + BEYOND) * BINS) - 1
        return f"least(greatest({value}, {low}), {high})::INTEGER"
    return f"least({value}, {BINS - 1})::INTEGER"
