"""The scope of a question: which clips count, and by which column they are told apart.

A question stands for itself, over the views of a store. With a condition, or a column to answer by,
each view that it reads is hidden behind one of the same name: the rows of the clips that meet the
condition, with all columns of the view clips where the view is made of scores. It runs in the same
sandbox as any other SQL.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from emi_model.errors import QueryError
from emi_model.targets import VAD_DIMENSIONS
from tasks.schema.metadata import FOLDER
from tasks.schema.scores import scores_schema, target_columns
from tasks.schema.tables import COMPANIONS, LABELS, SCORES, TRANSCRIPTS
from tasks.store.queries.clip_views import CLIPS, DERIVED_BODIES, all_view
from tasks.store.queries.quoting import quoted_name
from tasks.store.query import Ask, ask_together
from tasks.store.views import VIEWS, views_read

_Found = TypeVar("_Found")

TRUSTED = "trusted_scores"
"""View of the scores that questions compare."""

BY_MARK = "/* by */"
"""Where a question takes the column that it is answered by; behind LIMIT: so many of each value."""

_MOST_OF_EACH = re.compile(
    rf"(?P<text>.*)\bORDER BY\s+(?P<order>.*)\s+LIMIT\s+(?P<most>\d+)\s+{re.escape(BY_MARK)}\s*",
    re.DOTALL,
)

_BESIDE = (
    *(*COMPANIONS, TRANSCRIPTS, LABELS),
    *map(all_view, (SCORES, *COMPANIONS, TRANSCRIPTS)),
)
"""Views with a clip_id and columns of their own."""

_NUMBERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    *("HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN"),
)


def takes_where(sql: str) -> bool:
    """Return whether a question is about clips that a condition can choose."""
    read = set(views_read(sql))
    return read != set(VIEWS) and bool(read & {SCORES, CLIPS, *DERIVED_BODIES, *_BESIDE})


def scoped(sql: str, where: str | None, by: str | None = None, *, whole: bool = False) -> str:
    """Return a question about the clips that meet a condition.

    Args:
        sql: one SELECT over the views.
        where: a condition on the columns of clips; None: all.
        by: column that it is answered by, in place of each `BY_MARK`; the answer calls it as
            `_own_name` does.
        whole: let the views of scores have all columns of clips in any case.
    """
    if where is None and by is None and not whole:
        return sql
    columns = "*"
    if by is not None:
        sql = _answered_by(sql, quoted_name(_own_name(by)))
        columns += f", {quoted_name(by)} AS {quoted_name(_own_name(by))}"
    condition = f"\nWHERE (\n{where}\n)" if where is not None else ""
    hidden = {SCORES: f"SELECT {columns} FROM main.{CLIPS}{condition}"}
    read = views_read(sql)
    made = {CLIPS: f"SELECT * FROM {SCORES}", **DERIVED_BODIES}
    hidden |= {view: body for view, body in made.items() if view in read}
    hidden |= {
        view: f"SELECT * FROM main.{view} AS beside "
        f"WHERE beside.clip_id IN (SELECT clip_id FROM {SCORES})"
        for view in _BESIDE
        if view in read
    }
    named = ",\n".join(f"{view} AS (\n{body}\n)" for view, body in hidden.items())
    return f"WITH {named}\nSELECT * FROM (\n{sql.strip().rstrip(';')}\n)"


def _own_name(by: str) -> str:
    """Return a name for a column that no column of a store, and no question, has: with a blank."""
    return f"by {by}"


def _answered_by(sql: str, column: str) -> str:
    """Return a question with a column, in quotes, in place of each mark."""
    limited = _MOST_OF_EACH.fullmatch(sql)
    if limited is not None:
        text, order, most = limited.groups()
        sql = (
            f"SELECT * FROM (\n{text.rstrip()}\n)\n"
            f"QUALIFY row_number() OVER (PARTITION BY {column} ORDER BY {order}) <= {most}\n"
            f"ORDER BY {column}, {order}"
        )
    return sql.replace(BY_MARK, f"{column},")


class OpenClips:
    """Clips of a store that is open, those that meet a condition."""

    def __init__(self, ask: Ask, where: str | None) -> None:
        """Take what answers questions, and the condition."""
        self._ask = ask
        self._where = where

    def columns(self) -> dict[str, str]:
        """Return the columns of the view clips with their types, as DuckDB names them."""
        table = self._ask(f"SELECT column_name, column_type FROM (DESCRIBE {CLIPS})", {})
        names, kinds = (table[name].to_pylist() for name in table.schema.names)
        return dict(zip(names, kinds, strict=True))

    def rows(self, sql: str) -> pa.Table:
        """Return the answer to a question about these clips, with all columns of clips.

        Raises:
            QueryError: the condition, or the question, is wrong.
        """
        return self._ask(scoped(sql, self._where, whole=True), {})

    def rows_by(self, sql: str, by: str) -> pa.Table:
        """Return the answer to a question for each value of a column of clips.

        The answer calls the column by its name; ``by_NAME`` where the question has a column NAME.

        Args:
            sql: one SELECT over the views, with `BY_MARK`.
            by: the column, in any case.

        Raises:
            QueryError: no such column, or the condition is wrong.
        """
        by = known_column(by, self.columns(), "--by")
        found = self._ask(scoped(sql, self._where, by), {})
        names = found.schema.names
        shown = f"by_{by}" if by.lower() in map(str.lower, names) else by
        return found.rename_columns([shown if name == _own_name(by) else name for name in names])


def with_clips(
    location: str | Path,
    where: str | None,
    work: Callable[[OpenClips], _Found],
    views: Iterable[str] = (),
) -> _Found:
    """Return what some work makes of a store's clips, for which the store is opened once.

    Args:
        location: of the store.
        where: SQL, a condition on the columns of clips; None: all.
        work: called again if parts were compacted away meanwhile.
        views: that it asks beside `TRUSTED` and those of clips.

    Raises:
        QueryError: the condition, or a question, is wrong.
        StoreError: no store there.
    """
    read = views_read(scoped(f"FROM {TRUSTED}", where, whole=True))
    return ask_together(location, {*read, *views}, lambda ask: work(OpenClips(ask, where)))


def known_column(name: str, columns: Mapping[str, str], option: str) -> str:
    """Return a column of clips as it is spelled.

    Raises:
        QueryError: there is none.
    """
    spelled = {column.lower(): column for column in columns}
    if name.lower() not in spelled:
        meant = did_you_mean(name, columns) or ":"
        raise QueryError(
            f"{option} {name}: no such column{meant} `emi ask each_clip --format csv` shows all, "
            "`emi metadata add` brings your own"
        )
    return spelled[name.lower()]


def scores_among(columns: Mapping[str, str]) -> list[str]:
    """Return those columns of clips that are scores: the targets', then VAD.

    Args:
        columns: `clip_columns`; those before folder are of the view scores.
    """
    names = list(columns)[: list(columns).index(FOLDER.name)]
    return [*target_columns(names, scores_schema(())), *VAD_DIMENSIONS]


def number_column(name: str, columns: Mapping[str, str], option: str) -> str:
    """Return a column of clips that holds numbers.

    Raises:
        QueryError: there is none, or it holds something else.
    """
    found = known_column(name, columns, option)
    if not columns[found].startswith(_NUMBERS):
        raise QueryError(f"{option} {found}: found {columns[found]}, expected a column of numbers")
    return found


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a half sentence with the names most like one; empty if none is."""
    found = difflib.get_close_matches(name.lower(), list(known), n=3)
    return f", did you mean {' or '.join(found)}?" if found else ""
