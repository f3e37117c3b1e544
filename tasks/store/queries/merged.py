"""What a compaction writes: the rows of some parts in the order of their keys, in a few ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import duckdb
import pyarrow as pa

from tasks.schema.tables import ATTRIBUTIONS, TIMELINE, WINDOWS
from tasks.store.queries.clip_views import current_view
from tasks.store.queries.latest import KEYS
from tasks.store.queries.quoting import quoted

SAMPLED_KEYS = 20_000
"""Keys that are drawn to find ranges of about the same number of rows, to within some percent."""

_BELOW_KEY: Mapping[str, str] = {
    TIMELINE: "second",
    WINDOWS: "window_index",
    ATTRIBUTIONS: "target, kind, name, start_seconds",
}
"""What rows of a companion are sorted by that have the same key."""

EVERY_ROW_OF_IT = "true"


def key_ranges(connection: duckdb.DuckDBPyConnection, table: str, number: int) -> list[str]:
    """Return conditions in SQL of which each row of a leading table meets one, in their order.

    Args:
        connection: with the views of `tasks.store.views.connect`.
        table: the leading table.
        number: how many conditions; fewer where there are few keys.
    """
    if number < 2:
        return [EVERY_ROW_OF_IT]
    key = KEYS[table]
    drawn = connection.execute(
        f"SELECT {', '.join(key)} FROM (SELECT {', '.join(key)} FROM {current_view(table)}) "
        f"USING SAMPLE reservoir({SAMPLED_KEYS} ROWS) REPEATABLE (1)"
    ).fetchall()
    drawn.sort()
    places = (len(drawn) * place // number for place in range(1, number))
    cuts = sorted({drawn[place] for place in places if place})
    return [
        _between(key, low, high) for low, high in zip([None, *cuts], [*cuts, None], strict=True)
    ]


def sorted_rows(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    leading: str,
    condition: str,
    schema: pa.Schema,
    group_rows: int,
) -> pa.RecordBatchReader | None:
    """Return a reader of rows, which asks for them when it is first read; None: there are none.

    Args:
        connection: with the views of `tasks.store.views.connect`.
        table: the leading table, or one of its companions.
        leading: the leading table.
        condition: of `key_ranges`.
        schema: of the rows.
        group_rows: rows of each batch but the last.
    """
    rows = f"FROM {current_view(table)} WHERE {condition}"
    if not connection.execute(f"SELECT 1 {rows} LIMIT 1").fetchall():
        return None
    columns = [*KEYS[leading], *([_BELOW_KEY[table]] if table in _BELOW_KEY else [])]
    sql = f"{rows} ORDER BY {', '.join(columns)}"

    def batches() -> Iterator[pa.RecordBatch]:
        with connection.cursor() as cursor:
            for batch in cursor.sql(sql).to_arrow_reader(group_rows):
                found = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
                yield from found.combine_chunks().to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _between(key: Sequence[str], low: Sequence[str] | None, high: Sequence[str] | None) -> str:
    """Return the condition of keys from one, inclusive, to another, exclusive."""
    ends = []
    if low is not None:
        # what the first column says alone, statistics of row groups can answer
        ends += [f"{key[0]} >= {quoted(low[0])}", _after(key, low, ">=")]
    if high is not None:
        ends += [f"{key[0]} <= {quoted(high[0])}", _after(key, high, "<")]
    return " AND ".join(ends)


def _after(key: Sequence[str], values: Sequence[str], last: str) -> str:
    """Return the comparison of a key with values, column by column; ``last``: ``>=`` or ``<``."""
    name, value = key[0], quoted(values[0])
    if len(key) == 1:
        return f"{name} {last} {value}"
    return (
        f"({name} {last[0]} {value} OR ({name} = {value} AND {_after(key[1:], values[1:], last)}))"
    )
