"""The clips that are exported, read in slices: memory does not grow with their number.

Clips come in the order of their ids. A slice is a range of ids, so that of a large store only the
parts that hold them need be read, and what is sorted or grouped at once is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from emi_model.errors import QueryError
from emi_model.targets import VAD_DIMENSIONS
from tasks.schema.metadata import FOLDER, WHO_SPEAKS
from tasks.schema.registers import labels_schema
from tasks.schema.scores import scores_schema, target_columns
from tasks.schema.tables import LABELS, SCORES, TIMELINE, TRANSCRIPTS
from tasks.store.queries.clip_views import CLIPS, WITHIN, all_view
from tasks.store.queries.quoting import quoted
from tasks.store.readers import MayBeDamage, query_error
from tasks.store.views import connect, views_read

CLIPS_A_SLICE = 122_880
"""Clips of a slice: a row group of Parquet."""

ROWS_OF_A_BATCH = 10_000

CHOSEN = f"{WITHIN}.chosen"
"""The view of the chosen rows of the view ``clips``: scores, speaker and own metadata."""

_KINDS = f"""
SELECT model, model_sha256, coverage, backbone_licence, reason, count(*) AS clips
FROM {CHOSEN} GROUP BY ALL ORDER BY clips DESC, model_sha256, coverage, reason"""
_WORDS = f"""
SELECT asr_model, count(*) AS clips FROM {TRANSCRIPTS} SEMI JOIN {CHOSEN} USING (clip_id)
GROUP BY ALL ORDER BY clips DESC, asr_model"""

_ALWAYS = (CLIPS, SCORES, TIMELINE, TRANSCRIPTS, LABELS, all_view(SCORES))


@dataclass(frozen=True)
class Selection:
    """Chosen clips of a store.

    Attributes:
        connection: with the store's views, and `CHOSEN`.
        where: the conditions in SQL; a clip fits all of them.
        kinds: how many of the chosen clips each model scored, and rejected for each reason.
        words: how many of them each ASR model transcribed; empty without transcripts.
        limit: how many of them are wanted at most; None for all.
        of_scores: columns of the view ``scores``.
        own: columns of metadata files, which ``clips`` has beside them.
        targets: columns of the model's targets, in their order.
        rated: columns of the labels, in their order; empty where nothing was labelled.
        advance: called with a number of clips whenever so many more were written.
        left_out: clips that a form could not take, by the reason in words; forms add to it.
        notes: what else the user must know; forms add to it.
    """

    connection: duckdb.DuckDBPyConnection
    where: tuple[str, ...]
    kinds: tuple[dict[str, Any], ...]
    words: tuple[dict[str, Any], ...]
    limit: int | None
    of_scores: tuple[str, ...]
    own: tuple[str, ...]
    targets: tuple[str, ...]
    rated: tuple[str, ...]
    advance: Callable[[int], None] = lambda _: None
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def num_clips(self) -> int:
        """How many clips were chosen, rejected ones among them."""
        return sum(kind["clips"] for kind in self.kinds)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the answer to a question, which is small."""
        found: list[dict[str, Any]] = self.table(sql).to_pylist()
        return found

    def table(self, sql: str) -> pa.Table:
        """Return the answer to a question about a slice."""
        with _read_errors():
            return self.connection.sql(sql).to_arrow_table()

    def schema(self, sql: str) -> pa.Schema:
        """Return the columns of a question's answer."""
        return self.table(f"FROM ({sql}) LIMIT 0").schema

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Yield the answer to a question in batches, as it comes."""
        with _read_errors():
            yield from self.connection.sql(sql).to_arrow_reader(ROWS_OF_A_BATCH)

    def row_groups(self, sql: str) -> Iterator[pa.Table]:
        """Yield the answer to a question in tables of a row group each; one if it is empty."""
        with _read_errors():
            reader = self.connection.sql(sql).to_arrow_reader(ROWS_OF_A_BATCH)
            held: list[pa.RecordBatch] = []
            is_first = True
            for batch in reader:
                held.append(batch)
                if sum(one.num_rows for one in held) >= CLIPS_A_SLICE:
                    yield pa.Table.from_batches(held)
                    held, is_first = [], False
            if held or is_first:
                yield pa.Table.from_batches(held, reader.schema)

    def slices(self) -> list[str]:
        """Return a condition on ``clip_id`` for each slice, in the order of the ids.

        They are cut after each `CLIPS_A_SLICE` clips, and after the last that is wanted.
        """
        wanted = self.num_clips if self.limit is None else min(self.limit, self.num_clips)
        if wanted == self.num_clips <= CLIPS_A_SLICE:
            return ["true"]
        found = self.rows(
            f"SELECT clip_id FROM (SELECT clip_id, row_number() OVER (ORDER BY clip_id) AS number "
            f"FROM {CHOSEN}) WHERE number = {wanted} OR "
            f"(number % {CLIPS_A_SLICE} = 0 AND number < {wanted}) ORDER BY clip_id"
        )
        ends = [quoted(row["clip_id"]) for row in found]
        before = ["true", *(f"clip_id > {end}" for end in ends[:-1])]
        return [f"{start} AND clip_id <= {end}" for start, end in zip(before, ends, strict=True)]

    def leave_out(self, why: str, number: int = 1) -> None:
        """Count clips that are left out."""
        if number:
            self.left_out[why] = self.left_out.get(why, 0) + number


@contextmanager
def opened(
    location: str | Path,
    where: Sequence[str],
    *,
    limit: int | None = None,
    verified: bool = False,
    begun: Callable[[duckdb.DuckDBPyConnection], None] = lambda _: None,
    advance: Callable[[int], None] = lambda _: None,
) -> Iterator[Selection]:
    """Yield the chosen clips of a store.

    Args:
        location: of the store.
        where: conditions in SQL over the columns of ``clips``; subqueries may name other views.
        limit: how many clips at most.
        verified: pass over damaged parts; their names are said.
        begun: called with the connection, which it may interrupt.
        advance: as `Selection` has it.

    Raises:
        QueryError: a condition that is none, or no clip fits.
        PartsChanged: a compaction removed listed parts meanwhile; only of a store in a bucket.
    """
    sql = f"SELECT * FROM {CLIPS} WHERE {_condition(where)}"
    named = {*_ALWAYS, *(view for one in where for view in _views_of(one))}
    with connect(location, views=named, verified=verified) as connection:
        begun(connection)
        with _read_errors():
            for one in where:
                _check(connection, one)
            connection.execute(f"CREATE VIEW {CHOSEN} AS\n{sql}")
            names, clips = (_columns(connection, view) for view in (SCORES, CLIPS))
            kinds = connection.sql(_KINDS).to_arrow_table().to_pylist()
            words = connection.sql(_WORDS).to_arrow_table().to_pylist()
            is_labelled = bool(connection.sql(f"FROM {LABELS} LIMIT 1").fetchall())
        if not kinds:
            which = f"no clip fits {' AND '.join(where)}" if where else "the store has no clip yet"
            raise QueryError(f"{location}: nothing to export: {which}")
        yield Selection(
            connection,
            tuple(where),
            tuple(kinds),
            tuple(words),
            limit,
            of_scores=names,
            own=tuple(set(clips) - {*names, FOLDER.name, WHO_SPEAKS.name}),
            targets=target_columns(names, scores_schema(())),
            rated=_rated(connection) if is_labelled else (),
            advance=advance,
        )


def _condition(where: Sequence[str]) -> str:
    """Return the conditions as one; each on lines of its own, so that a comment ends with it."""
    return " AND ".join(f"(\n{one}\n)" for one in where) or "true"


def _asked(condition: str) -> str:
    return f"SELECT 1 FROM {CLIPS} WHERE (\n{condition}\n)"


def _views_of(condition: str) -> Sequence[str]:
    return tuple(views_read(_asked(condition)))


def _check(connection: duckdb.DuckDBPyConnection, condition: str) -> None:
    """Check that a text is one condition, and does not end the WHERE that it stands in.

    Raises:
        QueryError: it is not.
    """
    sql = _asked(condition)
    text = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
    tree = json.loads(text)
    if tree["error"]:
        why = str(tree.get("error_message", "it cannot be read")).partition("\n")[0]
        raise QueryError(f"--where {condition!r}: {why}; expected a condition, as joy > 0.5")
    nodes = [statement["node"] for statement in tree["statements"]]
    is_one = (
        len(nodes) == 1
        and nodes[0]["type"] == "SELECT_NODE"
        and nodes[0]["from_table"]["type"] == "BASE_TABLE"
        and not any(
            nodes[0].get(part) for part in ("modifiers", "group_expressions", "having", "qualify")
        )
    )
    if not is_one:
        raise QueryError(
            f"--where {condition!r}: is more than a condition, expected one, as joy > 0.5"
        )


def _rated(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    return (*target_columns(_columns(connection, LABELS), labels_schema(())), *VAD_DIMENSIONS)


def _columns(connection: duckdb.DuckDBPyConnection, view: str) -> tuple[str, ...]:
    return tuple(connection.sql(f"FROM {view} LIMIT 0").columns)


@contextmanager
def _read_errors() -> Iterator[None]:
    """Turn DuckDB's errors into a QueryError of one line, or into a `MayBeDamage`."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise QueryError(
            "the export takes more than its share of memory: choose fewer clips by --where"
        ) from error
    except duckdb.Error as error:
        raise query_error(error, _in_a_line(error)) from error
    except OSError as error:  # DuckDB's, by way of Arrow
        raise MayBeDamage(_in_a_line(error)) from error


def _in_a_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    meant = [line for line in lines[1:] if line.startswith(("Did you mean", "Candidate"))]
    return "; ".join([*lines[:1], *meant]) or "DuckDB cannot read the store"
