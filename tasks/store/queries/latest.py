"""Which rows of a table are not the latest of their clip: found once, when views are opened.

A part that a compaction wrote says in its metadata, `APART_FROM`, that it holds every key (a clip,
model and coverage) once, and names other parts that hold none of its keys. Parts never change, so
that stays true, whatever other runs commit, merge or remove. Of parts that are apart from each
other no row can be replaced by another of them. Only the rest, `Sorted.loose`, is matched against
them and within itself: first by a hash of the key, and exactly where hashes meet.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from tasks.schema.tables import SCORES, TRANSCRIPTS
from tasks.store.bounds import memory_limit
from tasks.store.paths import EMPTY_PART, Part
from tasks.store.queries.clip_views import WITHIN
from tasks.store.queries.quoting import quoted

APART_FROM = b"apart_from"
"""Parquet metadata of a compacted part: names of parts of its table that hold none of its keys.

It also says that each key stands in this part once, and that the companions of the same name hold
rows of this part's keys alone. Versions before it pass it over.
"""

KEYS: Mapping[str, tuple[str, ...]] = {
    SCORES: ("model_sha256", "coverage", "clip_id"),
    TRANSCRIPTS: ("asr_key", "clip_id"),
}
"""Of each leading table: what its views show one row of. Compacted parts are sorted by it."""

LATEST_FIRST: Mapping[str, str] = {
    SCORES: "scored_at DESC, run_id DESC, part DESC",
    TRANSCRIPTS: "transcribed_at DESC, run_id DESC, part DESC",
}
"""Of rows with the same key the first one counts."""

_ROWS = """\
SELECT {columns}, parse_filename(filename, true) AS part, filename, file_row_number
FROM read_parquet({files}, union_by_name = true, filename = true, file_row_number = true,
    hive_partitioning = false)"""


class Sorted(NamedTuple):
    """The parts of a leading table.

    Attributes:
        apart: known to hold no key twice, all together.
        loose: the others.
    """

    apart: list[Part]
    loose: list[Part]


def sorted_parts(parts: Sequence[Part], claims: Mapping[str, Collection[str]]) -> Sorted:
    """Return parts of a leading table by whether they are known to be apart; the largest first.

    Args:
        parts: all of the table.
        claims: what parts say of themselves, see `read_claims`.
    """
    apart: list[Part] = []
    for part in sorted(parts, key=lambda part: (-part.size, part.name)):
        if part.name in claims and all(_are_apart(part.name, o.name, claims) for o in apart):
            apart.append(part)
    apart += [part for part in parts if part.name == EMPTY_PART]
    chosen = set(apart)
    return Sorted(apart, [part for part in parts if part not in chosen])


def _are_apart(one: str, other: str, claims: Mapping[str, Collection[str]]) -> bool:
    return one in claims[other] or other in claims[one]


def read_claims(connection: duckdb.DuckDBPyConnection, files: str) -> dict[str, set[str]]:
    """Return by the names of parts the parts that each says it is apart from.

    Args:
        connection: any.
        files: the parts of a leading table, as a list in SQL.
    """
    found = connection.execute(
        "SELECT parse_filename(file_name, true), decode(value) "
        f"FROM parquet_kv_metadata({files}) WHERE key = ?",
        [APART_FROM],
    ).fetchall()
    return {name: set(json.loads(value)) for name, value in found}


def claims_of(schemas: Mapping[Part, pa.Schema]) -> dict[str, set[str]]:
    """Return the same as `read_claims`, of the schemas of parts."""
    found = {part.name: (schema.metadata or {}).get(APART_FROM) for part, schema in schemas.items()}
    return {name: set(json.loads(value)) for name, value in found.items() if value is not None}


def parts_that_meet(table: str, these: str, those: str) -> set[str]:
    """Return the names of those parts that may hold a key of these parts: hashes decide it.

    Args:
        table: the leading table.
        these: files of parts, as a list in SQL.
        those: likewise.
    """
    key = KEYS[table]
    read = "union_by_name = true, filename = true, hive_partitioning = false"
    with duckdb.connect(config=memory_limit()) as connection:
        rows = f"FROM read_parquet({these}, {read})"
        connection.execute(
            f"CREATE TABLE these AS SELECT DISTINCT hash({', '.join(key)}) AS hashed {rows}"
        )
        found = connection.execute(
            "SELECT DISTINCT parse_filename(filename, true) "
            f"FROM read_parquet({those}, {read}) WHERE {_may_meet(connection, key, rows)} "
            f"AND hash({', '.join(key)}) IN (SELECT hashed FROM these)"
        ).fetchall()
    return {name for (name,) in found}


def lost_rows(table: str) -> str:
    """Return the name of the table of rows that do not count: ``filename``, ``file_row_number``.

    It holds their keys and ``part`` as well.
    """
    return f"{WITHIN}.lost_{table}"


def find_lost_rows(
    connection: duckdb.DuckDBPyConnection, table: str, apart: str | None, loose: str
) -> set[str]:
    """Make `lost_rows` of a leading table; return the names of the parts that hold such rows.

    Args:
        connection: with the schema `WITHIN`.
        table: the leading table.
        apart: files of the parts that are known to be apart, as a list in SQL; None: no part is.
        loose: of the others; at least one.
    """
    key = ", ".join(KEYS[table])
    hashed = f"hash({key})"
    order = LATEST_FIRST[table]
    columns = f"{key}, {order.partition(',')[0].split()[0]}, run_id"
    read = f"FROM read_parquet({loose}, union_by_name = true, hive_partitioning = false)"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE loose AS SELECT {hashed} AS hashed {read}")
    met = "false"
    if apart is not None:
        met = f"{_may_meet(connection, KEYS[table], read)} AND {hashed} IN (FROM loose)"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE met AS "
        f"{_ROWS.format(columns=columns, files=apart or loose)} WHERE {met}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE doubtful AS "
        "SELECT hashed FROM loose GROUP BY hashed HAVING count(*) > 1 "
        f"UNION SELECT {hashed} FROM met"
    )
    connection.execute(
        f"CREATE OR REPLACE TABLE {lost_rows(table)} AS FROM (FROM met UNION ALL "
        f"{_ROWS.format(columns=columns, files=loose)} "
        f"WHERE {hashed} IN (FROM doubtful)) "
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}, file_row_number) > 1"
    )
    connection.execute("DROP TABLE loose; DROP TABLE met; DROP TABLE doubtful")
    lost = connection.execute(f"SELECT DISTINCT part FROM {lost_rows(table)}").fetchall()
    return {part for (part,) in lost}


def _may_meet(connection: duckdb.DuckDBPyConnection, key: Sequence[str], rows: str) -> str:
    """Return a condition of rows that may have a key of some rows: statistics can answer it.

    Args:
        connection: any.
        key: columns.
        rows: clause FROM of the rows.
    """
    first, last = key[0], key[-1]
    found = connection.execute(
        f"SELECT {first}, min({last}), max({last}) {rows} "
        f"WHERE {first} IS NOT NULL AND {last} IS NOT NULL GROUP BY {first}"
    ).fetchall()
    if not found:
        return "false"
    wanted = ", ".join(quoted(value) for value, _, _ in found)
    low, high = min(low for _, low, _ in found), max(high for _, _, high in found)
    return f"{first} IN ({wanted}) AND {last} BETWEEN {quoted(low)} AND {quoted(high)}"


def latest_rows(table: str, files: str, lost: Iterable[str]) -> str:
    """Return the SELECT of the rows that count, and of the ``part`` that each is in.

    Args:
        table: a leading table.
        files: all of its parts, as a list in SQL.
        lost: names of the parts that `find_lost_rows` returned.
    """
    read = "union_by_name = true, filename = true, hive_partitioning = false"
    if not set(lost):
        return (
            "SELECT * EXCLUDE (filename), parse_filename(filename, true) AS part\n"
            f"FROM read_parquet({files}, {read})"
        )
    return (
        "SELECT row.* EXCLUDE (filename, file_row_number), "
        "parse_filename(row.filename, true) AS part\n"
        f"FROM read_parquet({files}, {read}, file_row_number = true) AS row\n"
        f"ANTI JOIN {lost_rows(table)} AS lost\n"
        "    ON row.filename = lost.filename AND row.file_row_number = lost.file_row_number"
    )
