"""What a compaction writes: the rows of some parts in the order of their keys, range by range.

A range holds so few rows that they are sorted in memory, and its condition, on single columns, lets
statistics pass over the row groups that hold none of it. A merged part is several ranges.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from tasks.schema.tables import ATTRIBUTIONS, TIMELINE, WINDOWS
from tasks.storage.parquet_files import ROW_GROUP_ROWS
from tasks.store.queries.clip_views import current_view, every_view
from tasks.store.queries.latest import KEYS
from tasks.store.queries.quoting import quoted, quoted_name

RANGE_ROWS = 4 * ROW_GROUP_ROWS
"""Of scores that are sorted at once: about half a GB."""

DRAWN_A_RANGE = 500
"""Keys that are drawn for each range, so that ranges are of the same size to within some percent.
"""

_BELOW_KEY: Mapping[str, tuple[str, ...]] = {
    TIMELINE: ("second",),
    WINDOWS: ("window_index",),
    ATTRIBUTIONS: ("target", "kind", "name", "start_seconds"),
}
"""What rows of a companion are sorted by that have the same key."""


class KeyRange(NamedTuple):
    """Keys that follow each other in the order of a leading table.

    Attributes:
        condition: in SQL, on the columns of the key: which rows are of the range.
        num_rows: about how many of the leading table.
    """

    condition: str
    num_rows: float


def key_ranges(connection: duckdb.DuckDBPyConnection, table: str, number: int) -> list[KeyRange]:
    """Return ranges, in their order, of which each row of a leading table is in one.

    All columns of a key but the last are the same in a range.

    Args:
        connection: with the views of `tasks.store.views.connect`.
        table: the leading table.
        number: how many ranges there are at least, where there are so many keys.
    """
    *same, last = KEYS[table]
    view, columns = current_view(table), ", ".join(same)
    counted = connection.execute(
        f"SELECT {columns}, count(*) FROM {view} GROUP BY {columns} ORDER BY {columns}"
    ).fetchall()
    max_rows = min(RANGE_ROWS, sum(num_rows for *_, num_rows in counted) / number)
    found = []
    for *values, num_rows in counted:
        condition = " AND ".join(map(_equals, same, values))
        cuts = _cuts(connection, f"{view} WHERE {condition}", last, math.ceil(num_rows / max_rows))
        for low, high in zip([None, *cuts], [*cuts, None], strict=True):
            ends = "" if low is None else f" AND {last} >= {quoted(low)}"
            ends += "" if high is None else f" AND {last} < {quoted(high)}"
            found.append(KeyRange(condition + ends, num_rows / (len(cuts) + 1)))
    return found


def divided(ranges: Sequence[KeyRange], number: int) -> list[list[KeyRange]]:
    """Return ranges in so many groups of about the same number of rows, or fewer; one at least."""
    every = sum(one.num_rows for one in ranges)
    found: dict[int, list[KeyRange]] = {}
    before = 0.0
    for one in ranges:
        middle = before + one.num_rows / 2
        found.setdefault(int(number * middle / every), []).append(one)
        before += one.num_rows
    return list(found.values()) or [[]]


def sorted_rows(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    leading: str,
    ranges: Iterable[KeyRange],
    schema: pa.Schema,
) -> pa.RecordBatchReader | None:
    """Return a reader of rows, which asks for them when it is first read; None: there are none.

    Args:
        connection: with the views of `tasks.store.views.connect`.
        table: the leading table, or one of its companions.
        leading: the leading table.
        ranges: of `key_ranges`, in their order.
        schema: of the rows.
    """
    columns = ", ".join(map(quoted_name, schema.names))
    order = ", ".join((KEYS[leading][-1], *_BELOW_KEY.get(table, ())))
    found = [_rows(table, leading, one.condition) for one in ranges]
    questions = [f"SELECT {columns} {rows} ORDER BY {order}" for rows in found]
    if not any(connection.execute(f"SELECT 1 {rows} LIMIT 1").fetchall() for rows in found):
        return None

    def batches() -> Iterator[pa.RecordBatch]:
        with connection.cursor() as cursor:
            for question in questions:
                yield from cursor.sql(question).to_arrow_reader(ROW_GROUP_ROWS)

    return pa.RecordBatchReader.from_batches(schema, _of_row_groups(batches(), schema))


def _rows(table: str, leading: str, condition: str) -> str:
    """Return the clauses FROM and WHERE of a table's rows in a range.

    Those of a companion have their key and part in the leading table. The condition stands at both,
    so that of both only the rows of the range are read.
    """
    if table == leading:
        return f"FROM {current_view(table)} WHERE {condition}"
    key = KEYS[leading][-1]
    return (
        f"FROM (FROM {every_view(table)} WHERE {condition}) AS rows\n"
        f"SEMI JOIN (SELECT {key}, part FROM {current_view(leading)} WHERE {condition}) AS led\n"
        f"    ON rows.{key} = led.{key} AND rows.part = led.part"
    )


def _cuts(connection: duckdb.DuckDBPyConnection, rows: str, column: str, number: int) -> list[str]:
    """Return values, sorted, that divide rows by a column into so many ranges, or fewer."""
    if number < 2:
        return []
    sample = f"reservoir({DRAWN_A_RANGE * number} ROWS) REPEATABLE (1)"
    drawn = connection.execute(
        f"SELECT {column} FROM (SELECT {column} FROM {rows}) USING SAMPLE {sample}"
    ).fetchall()
    values = sorted(value for (value,) in drawn)
    places = (len(values) * place // number for place in range(1, number))
    return sorted({values[place] for place in places if place})


def _of_row_groups(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of batches under a schema, `ROW_GROUP_ROWS` at a time."""
    waiting = schema.empty_table()
    for batch in batches:
        rows = pa.Table.from_batches([batch]).cast(schema)
        waiting = pa.concat_tables([waiting, rows]) if waiting.num_rows else rows
        while waiting.num_rows >= ROW_GROUP_ROWS:
            yield from waiting.slice(0, ROW_GROUP_ROWS).combine_chunks().to_batches()
            waiting = waiting.slice(ROW_GROUP_ROWS)
    yield from waiting.combine_chunks().to_batches()


def _equals(column: str, value: str | None) -> str:
    return f"{column} IS NULL" if value is None else f"{column} = {quoted(value)}"
