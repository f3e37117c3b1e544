"""All that a store holds of one clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from tasks.schema.tables import EXPLANATIONS, LABELS, SCORES, TIMELINE, TRANSCRIPTS, WINDOWS
from tasks.storage.formats import plain_rows
from tasks.store.bounds import interruptible
from tasks.store.queries.clip_views import all_view
from tasks.store.readers import query_error, read_whole
from tasks.store.views import connect, first_line

_VIEWS = (
    *(all_view(SCORES), all_view(TIMELINE), all_view(WINDOWS)),
    *(LABELS, TRANSCRIPTS, EXPLANATIONS),
)
_Row = Mapping[str, Any]
_OF_ROW = "clip_id = ? AND model_sha256 = ? AND coverage = ?"


@dataclass(frozen=True)
class ClipRecord:
    """What a store holds of a clip.

    Attributes:
        rows: of scores, of every model and coverage; the current first, then the newest.
        row: the one that was asked for.
        timeline: the seconds of that row, in order.
        windows: its windows, in order; of a clip that was scored whole.
        label: what raters gave; None: nothing.
        transcript: the newest; None: none.
        explanations: sentences about the clip, the newest first.
    """

    rows: Sequence[_Row]
    row: _Row
    timeline: Sequence[_Row]
    windows: Sequence[_Row]
    label: _Row | None
    transcript: _Row | None
    explanations: Sequence[_Row]


def read_clip(
    location: str, clip_id: str, model: str = "", coverage: str = ""
) -> ClipRecord | None:
    """Return what a store holds of a clip; None if it has no such clip.

    Args:
        location: of the store.
        clip_id: of the clip.
        model: hash of the model; empty, or without a row: the first of ``rows``.
        coverage: likewise.

    Raises:
        StoreError: the store cannot be read.
        QueryError: a view cannot be made.
    """

    def attempt(verified: bool) -> ClipRecord | None:
        with connect(location, views=_VIEWS, verified=verified) as connection:
            try:
                return _Reader(connection).record(clip_id, model, coverage)
            except duckdb.Error as error:
                raise query_error(error, f"{location}: {first_line(error)}") from error

    return read_whole(location, lambda verified: interruptible(lambda _: attempt(verified)))


class _Reader:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        names = "SELECT view_name FROM duckdb_views() WHERE NOT internal"
        self._views = {name for (name,) in connection.execute(names).fetchall()}

    def record(self, clip_id: str, model: str, coverage: str) -> ClipRecord | None:
        order = "is_current DESC, scored_at DESC, model_sha256, coverage"
        rows = self._rows(all_view(SCORES), "clip_id = ?", [clip_id], order)
        if not rows:
            return None
        wanted = (
            row for row in rows if (row["model_sha256"], row["coverage"]) == (model, coverage)
        )
        row = next(wanted, rows[0])
        key = [clip_id, row["model_sha256"], row["coverage"]]
        labels = self._rows(LABELS, "clip_id = ?", [clip_id])
        transcripts = self._rows(TRANSCRIPTS, "clip_id = ?", [clip_id])
        return ClipRecord(
            rows,
            row,
            self._rows(all_view(TIMELINE), _OF_ROW, key, "second"),
            self._rows(all_view(WINDOWS), _OF_ROW, key, "window_index"),
            labels[0] if labels else None,
            transcripts[0] if transcripts else None,
            self._rows(EXPLANATIONS, "clip_id = ?", [clip_id], "explained_at DESC"),
        )

    def _rows(
        self, view: str, condition: str, parameters: list[str], order: str = "1"
    ) -> list[dict[str, Any]]:
        if view not in self._views:
            return []
        sql = f"SELECT * FROM {view} WHERE {condition} ORDER BY {order}"
        found = self._connection.sql(sql, params=parameters).to_arrow_table()
        return list(plain_rows(found))
