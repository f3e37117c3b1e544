"""The list: rows under all that was chosen, page by page, and how many each facet leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.browsing.asked import MAX_KEPT, Asked
from tasks.browsing.facets import CURRENT, MODELS, STANDING, Facet, facets_of
from tasks.browsing.list_state import ListState
from tasks.browsing.snapshot import LISTED, ListSnapshot
from tasks.store.queries.quoting import quoted_name

ROWS_A_PAGE = 50
MAX_VALUES = 8
"""Values of a facet that are shown; those that were chosen are shown in any case."""
MAX_EXTRA_COLUMNS = 6
"""Columns of a SELECT that stand beside the scores."""

_Count = tuple[str, str, int]
"""A value as the address has it, in words, and how many rows have it."""

_ASKED, _PLACE = "asked", "place_in_answer"
_OPEN = ("status", "reason", "flags")


@dataclass(frozen=True)
class FacetValue:
    """A value of a facet.

    Attributes:
        text: as it is shown.
        num_rows: that have it, under all that other facets chose.
        chosen: whether the list is narrowed to it.
        address: of the list with it chosen, or no longer chosen.
    """

    text: str
    num_rows: int
    chosen: bool
    address: str


@dataclass(frozen=True)
class FacetShown:
    """A facet with its values: the most frequent first.

    Attributes:
        title: its heading.
        values: that are shown.
        num_more: that are not.
        is_open: whether the values are to be seen at once.
    """

    title: str
    values: Sequence[FacetValue]
    num_more: int
    is_open: bool


@dataclass(frozen=True)
class ListedPage:
    """A page of rows.

    Attributes:
        rows: of the table, by column.
        num_rows: of all pages.
        first: place of the first row among all, counted from 0.
        extra: columns that the user's SELECT adds.
    """

    rows: Sequence[Mapping[str, Any]]
    num_rows: int
    first: int
    extra: Sequence[str]


@dataclass(frozen=True)
class _Condition:
    """What the rows of a state are.

    Attributes:
        sql: FROM and WHERE.
        parameters: in place of its question marks.
        beside: tables that it names.
        extra: columns that these add.
    """

    sql: str
    parameters: Sequence[Any] = ()
    beside: Mapping[str, pa.Table] = field(default_factory=dict)
    extra: Sequence[str] = ()


class Listing:
    """The list over one snapshot.

    Attributes:
        snapshot: of the store.
        facets: by key.
        asked: what answers the user's SQL.
        sortable: columns by which it can be sorted.
    """

    def __init__(self, snapshot: ListSnapshot) -> None:
        """Take a snapshot."""
        self.snapshot = snapshot
        self.facets = facets_of(snapshot)
        self.asked = Asked(snapshot.location)
        of_scores = (*snapshot.columns.scores, "label_gap", "duration_seconds", "scored_at")
        others = ("clip_id", "status", "reason", "speaker", *snapshot.columns.own)
        self.sortable = [one for one in (*others, *of_scores) if one in snapshot.columns.every]
        self._counts: dict[tuple[str, str], list[_Count]] = {}
        self._joined: dict[str, tuple[pa.Table, list[str]]] = {}
        self._lock = Lock()
        self._all_counts(ListState())  # so that the first page does not wait for them

    def page(self, state: ListState) -> ListedPage:
        """Return the rows of a state's page; of a page behind the last one, the last.

        Raises:
            QueryError: the user's SQL is wrong.
        """
        condition = self._condition(state)
        count = f"SELECT count(*) AS n {condition.sql}"
        (total,) = self.snapshot.rows(count, condition.parameters, condition.beside)
        num_rows = total["n"]
        last = max(0, (num_rows - 1) // ROWS_A_PAGE)
        first = min(state.page - 1, last) * ROWS_A_PAGE
        rows = self._rows(state, condition, first, ROWS_A_PAGE)
        return ListedPage(rows, num_rows, first, condition.extra)

    def at(self, state: ListState, place: int) -> Mapping[str, Any] | None:
        """Return the row at a place among all of a state, counted from 0; None if there is none.

        Raises:
            QueryError: the user's SQL is wrong.
        """
        if place < 0:
            return None
        found = self._rows(state, self._condition(state), place, 1)
        return found[0] if found else None

    def shown_facets(self, state: ListState) -> list[FacetShown]:
        """Return every facet of two values or more, each counted under all that others chose.

        Raises:
            QueryError: the user's SQL is wrong.
        """
        counts = self._all_counts(state)
        shown = (_shown(facet, counts[key], state) for key, facet in self.facets.items())
        return [one for one in shown if one is not None]

    def _all_counts(self, state: ListState) -> dict[str, list[_Count]]:
        """Return every facet's values by its key; those of like conditions by one question."""
        alike: dict[str, tuple[_Condition, list[Facet]]] = {}
        keys: dict[str, tuple[str, str]] = {}
        found: dict[str, list[_Count]] = {}
        for key, facet in self.facets.items():
            others = {other: values for other, values in state.chosen.items() if other != key}
            counted = replace(state, chosen=others, sort="", descending=False, page=1)
            keys[key] = (key, counted.query)
            with self._lock:
                known = self._counts.get(keys[key])
            if known is not None:
                found[key] = known
                continue
            condition = self._condition(counted, key)
            same = alike.setdefault(f"{condition.sql}{condition.parameters}", (condition, []))
            same[1].append(facet)
        for condition, facets in alike.values():
            found |= self._counted(condition, facets)
        with self._lock:
            if len(self._counts) >= _MAX_COUNTS:
                self._counts.clear()
            self._counts |= {keys[key]: counts for key, counts in found.items()}
        return found

    def _counted(self, condition: _Condition, facets: Sequence[Facet]) -> dict[str, list[_Count]]:
        """Return the values of facets that are counted under one condition, by their keys."""
        columns = dict.fromkeys(name for one in facets for name in (one.column, one.words) if name)
        base = f"SELECT {', '.join(map(quoted_name, columns))} {condition.sql}"
        each = " UNION ALL ".join(
            f"SELECT {number} AS place, counted, any_value(words) AS words, count(*) AS n FROM ("
            f"SELECT {facet.value} AS counted, "
            f"{quoted_name(facet.words) if facet.words else 'NULL'} AS words FROM base) "
            "GROUP BY counted"
            for number, facet in enumerate(facets)
        )
        rows = self.snapshot.rows(
            f"WITH base AS MATERIALIZED ({base}) FROM ({each}) ORDER BY place, n DESC, counted",
            condition.parameters,
            condition.beside,
        )
        found: dict[str, list[_Count]] = {facet.key: [] for facet in facets}
        for row in rows:
            facet = facets[row["place"]]
            text = row["words"] or row["counted"] or facet.nothing
            found[facet.key].append((row["counted"], text, row["n"]))
        return found

    def _rows(
        self, state: ListState, condition: _Condition, first: int, number: int
    ) -> list[dict[str, Any]]:
        order = "clip_id, model_sha256, coverage"
        if state.sort:
            way = "DESC" if state.descending else "ASC"
            order = f"{quoted_name(state.sort)} {way} NULLS LAST, {order}"
        elif condition.beside:
            order = f"{_PLACE}, {order}"
        sql = f"SELECT * {condition.sql} ORDER BY {order} LIMIT {number:d} OFFSET {first:d}"
        return self.snapshot.rows(sql, condition.parameters, condition.beside)

    def _condition(self, state: ListState, counted: str = "") -> _Condition:
        """Return what the rows of a state are.

        Args:
            state: of the list.
            counted: key of the facet whose values are counted: nothing of it is chosen.
        """
        conditions, parameters = list[str](), list[Any]()
        beside: dict[str, pa.Table] = {}
        source, extra = LISTED, list[str]()
        if state.sql:
            beside[_ASKED], extra = self._beside(state.sql)
            source = f"{LISTED} JOIN {_ASKED} USING (clip_id)"
        if state.search:
            conditions.append("contains(lower(clip_id), lower(?))")
            parameters.append(state.search)
        for key, values in state.chosen.items():
            conditions.append(self.facets[key].condition)
            parameters.append(list(values))
        if {STANDING, *MODELS}.isdisjoint((counted, *state.chosen)):
            conditions.append(f"standing = '{CURRENT}'")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return _Condition(f"FROM {source}{where}", parameters, beside, extra)

    def _beside(self, sql: str) -> tuple[pa.Table, list[str]]:
        """Return a SELECT's answer as a table to join: a row a clip, its place, columns to show."""
        found = self.asked.answer(sql)
        with self._lock:
            if sql in self._joined:
                return self._joined[sql]
        taken, names = {*self.snapshot.columns.every, _PLACE}, found.schema.names
        extra = [n for n in names if n not in taken and names.count(n) == 1][:MAX_EXTRA_COLUMNS]
        place = pa.array(range(found.num_rows), pa.int64())
        table = found.select(["clip_id", *extra]).append_column(_PLACE, place)
        firsts = table.group_by("clip_id").aggregate([(_PLACE, "min")])[f"{_PLACE}_min"]
        joined = table.filter(pc.is_in(place, firsts.combine_chunks()))
        with self._lock:
            if len(self._joined) >= MAX_KEPT:
                self._joined.clear()
            self._joined[sql] = (joined, extra)
        return joined, extra


def _shown(facet: Facet, counted: Sequence[_Count], state: ListState) -> FacetShown | None:
    chosen = state.chosen.get(facet.key, ())
    known = {value for value, _, _ in counted}
    absent = [(value, value or facet.nothing, 0) for value in chosen if value not in known]
    counts = [*counted, *absent]
    if len(counts) < 2 and not chosen:
        return None
    first = [one for place, one in enumerate(counts) if place < MAX_VALUES or one[0] in chosen]
    values = [
        FacetValue(text, number, value in chosen, state.toggled(facet.key, value).address)
        for value, text, number in first
    ]
    is_open = facet.key in _OPEN or bool(chosen)
    return FacetShown(facet.title, values, len(counts) - len(first), is_open)


_MAX_COUNTS = 500
"""Counts that are kept."""
