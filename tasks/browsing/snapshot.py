"""The rows that the page lists, made once an opening: a table of its own in a temporary file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from emi_model.errors import QueryError
from emi_model.targets import VAD_DIMENSIONS
from tasks.schema.registers import labels_schema
from tasks.schema.scores import scores_schema, target_columns
from tasks.schema.tables import LABELS, SCORES, TRANSCRIPTS
from tasks.storage.formats import plain_rows
from tasks.store.bounds import BATCH_ROWS, bounded_answer, interruptible, memory_limit
from tasks.store.queries.clip_views import CLIPS, all_view
from tasks.store.queries.quoting import quoted_name
from tasks.store.readers import query_error, read_whole
from tasks.store.store import open_store
from tasks.store.views import connect, first_line

LISTED = "listed"
"""The table: a row a clip, model and coverage."""

OWN_PREFIX = "m."
"""Begins the name of a column that the study's own metadata brought."""

_VIEWS = (SCORES, all_view(SCORES), CLIPS, LABELS, TRANSCRIPTS)
_OF_SCORES = (
    *("clip_id", "status", "reason", "flags", "codec", "training_split", "duration_seconds"),
    *("declared_seconds", "model", "model_sha256", "coverage", "scored_at"),
)
_SANDBOX: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "temp_directory": "",
}


@dataclass(frozen=True)
class ListedColumns:
    """The columns of the table, by what they hold.

    Attributes:
        scores: targets, then VAD.
        labelled: those of them that raters gave, too.
        own: of the study's metadata, each begins with `OWN_PREFIX`.
        every: all.
    """

    scores: tuple[str, ...]
    labelled: tuple[str, ...]
    own: tuple[str, ...]
    every: tuple[str, ...]


class ListSnapshot:
    """What a store held when it was opened; it can be asked from any thread.

    Attributes:
        location: of the store.
        columns: of the table.
        num_rows: of it.
        seconds: that it took to make it.
        made_at: when, UTC.
    """

    def __init__(self, location: str) -> None:
        """Read a store.

        Raises:
            StoreError: there is none, or it cannot be read.
            QueryError: it needs more memory than a question may take.
        """
        began = time.monotonic()
        open_store(location)
        self.location = location
        self.made_at = datetime.now(UTC)
        with tempfile.TemporaryDirectory(
            prefix="emi-browse-", ignore_cleanup_errors=True
        ) as folder:
            file = Path(folder, "listed.duckdb")
            self.columns = _filled(location, file)
            settings = _SANDBOX | memory_limit()
            # The file has no name from here on: it is gone when this process ends, however it ends.
            self._connection = duckdb.connect(str(file), read_only=True, config=settings)
        self.num_rows: int = self.rows(f"SELECT count(*) AS n FROM {LISTED}")[0]["n"]
        self.seconds = time.monotonic() - began

    def rows(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        beside: Mapping[str, pa.Table] | None = None,
    ) -> list[dict[str, Any]]:
        """Return the answer to a question of ours about the table.

        Args:
            sql: the question, with ``?`` for what the user chose.
            parameters: in place of these.
            beside: further tables that it names.

        Raises:
            QueryError: it takes too much memory.
        """
        with self._connection.cursor() as cursor:
            cursor.execute("SET enable_progress_bar = false")
            for name, table in (beside or {}).items():
                cursor.register(name, table)
            try:
                found = cursor.sql(sql, params=list(parameters)).to_arrow_table()
            except duckdb.Error as error:
                raise QueryError(first_line(error)) from error
        return list(plain_rows(found))

    def close(self) -> None:
        """Give back the room of the temporary file."""
        self._connection.close()


def _filled(location: str, file: Path) -> ListedColumns:
    """Write the table to a new file of DuckDB, and return its columns."""

    def attempt(verified: bool) -> ListedColumns:
        file.unlink(missing_ok=True)
        with connect(location, views=_VIEWS, verified=verified) as store:
            try:
                sql, columns = _selected(store)
                with duckdb.connect(str(file), config=memory_limit()) as own:
                    own.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
                    own.register("incoming", store.sql(sql).to_arrow_reader(BATCH_ROWS))
                    own.execute(f"CREATE TABLE {LISTED} AS FROM incoming ORDER BY clip_id")
            except duckdb.Error as error:
                raise query_error(error, f"{location}: {first_line(error)}") from error
            return columns

    return read_whole(location, lambda verified: interruptible(lambda _: attempt(verified)))


def _selected(store: duckdb.DuckDBPyConnection) -> tuple[str, ListedColumns]:
    """Return the SELECT that makes the table, and the columns that it has."""
    views = {
        name
        for (name,) in store.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
    }
    names = _names(store, all_view(SCORES))
    scores = (*target_columns(names, scores_schema(())), *VAD_DIMENSIONS)
    scores = tuple(name for name in dict.fromkeys(scores) if name not in _NO_SCORES)
    select = [f"s.{quoted_name(name)}" for name in (*_OF_SCORES, *scores) if name in names]
    select.append(_STANDING)
    joins, own, labelled = "", tuple[str, ...](), tuple[str, ...]()
    if CLIPS in views:
        known = _names(store, CLIPS)
        own = tuple(name for name in known[known.index("speaker") + 1 :])
        select += [
            "k.speaker",
            *(f"k.{quoted_name(n)} AS {quoted_name(OWN_PREFIX + n)}" for n in own),
        ]
        joins += f"\nLEFT JOIN {CLIPS} AS k ON s.clip_id = k.clip_id"
    if LABELS in views:
        rated = _names(store, LABELS)
        rated = [*target_columns(rated, labels_schema(())), *VAD_DIMENSIONS]
        labelled = tuple(name for name in scores if name in rated)
        select += _of_labels(labelled)
        joins += f"\nLEFT JOIN {LABELS} AS l ON s.clip_id = l.clip_id"
    if TRANSCRIPTS in views:
        select += _OF_TRANSCRIPTS
        joins += f"\nLEFT JOIN {TRANSCRIPTS} AS t ON s.clip_id = t.clip_id"
    sql = f"SELECT {', '.join(select)}\nFROM {all_view(SCORES)} AS s{joins}"
    every = tuple(store.sql(sql).columns)
    return sql, ListedColumns(scores, labelled, tuple(OWN_PREFIX + name for name in own), every)


_NO_SCORES = ("is_current", "missing_since")
_STANDING = (
    "CASE WHEN s.is_current THEN 'current' WHEN s.missing_since IS NOT NULL THEN 'file gone' "
    "ELSE 'another model' END AS standing, "
    "CASE WHEN contains(s.clip_id, '/') THEN split_part(s.clip_id, '/', 1) END AS folder, "
    "s.model || ' ' || left(s.model_sha256, 8) AS model_named"
)
_OF_TRANSCRIPTS = [
    "CASE WHEN t.clip_id IS NULL THEN 'no' ELSE 'yes' END AS transcribed",
    "t.language",
]


def _of_labels(labelled: Sequence[str]) -> list[str]:
    """Return what labels add: whether there are any, the split, how far off the scores are."""
    found = ["CASE WHEN l.clip_id IS NULL THEN 'no' ELSE 'yes' END AS labelled"]
    found.append("l.split AS label_split")
    gaps = ", ".join(f"abs(s.{quoted_name(name)} - l.{quoted_name(name)})" for name in labelled)
    found.append(f"{f'list_avg([{gaps}])' if gaps else 'NULL::DOUBLE'} AS label_gap")
    return found


def _names(store: duckdb.DuckDBPyConnection, view: str) -> list[str]:
    names: list[str] = bounded_answer(store, f"FROM {view} LIMIT 0").schema.names
    return names
