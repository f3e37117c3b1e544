"""The SQL views over a results store, and the sandbox that answers other people's questions."""

from __future__ import annotations

from pathlib import Path

import duckdb

from emi_model.errors import QueryError
from tasks.schemas import (
    ABLATIONS,
    COMPANIONS,
    DECISIONS,
    EVALUATIONS,
    LABELS,
    RUNS,
    SCORES,
    TABLES,
)

PLAIN = (RUNS, EVALUATIONS, DECISIONS, ABLATIONS)
"""Tables of which every row counts."""
VIEWS = (
    *(SCORES, "rejections", "unseen_scores", *COMPANIONS),
    *(RUNS, LABELS, "label_snapshots", EVALUATIONS, DECISIONS, ABLATIONS),
)

_CURRENT_SCORES = """\
SELECT *, parse_filename(filename, true) AS part
FROM read_parquet({files}, union_by_name = true, filename = true, hive_partitioning = false)
QUALIFY row_number() OVER (
    PARTITION BY clip_id, model_sha256, coverage ORDER BY scored_at DESC, run_id DESC, part DESC
) = 1"""
"""One row a clip, model and coverage: the latest, and the part that holds it."""

_CURRENT_COMPANION = """\
SELECT companion.*, parse_filename(companion.filename, true) AS part
FROM read_parquet({files}, union_by_name = true, filename = true, hive_partitioning = false)
    AS companion
SEMI JOIN current_scores AS scores
    ON companion.clip_id = scores.clip_id
    AND companion.model_sha256 = scores.model_sha256
    AND companion.coverage = scores.coverage
    AND parse_filename(companion.filename, true) = scores.part"""
"""What belongs to those rows: it stands in the part of the same name."""

_ALL = "SELECT * FROM read_parquet({files}, union_by_name = true, hive_partitioning = false)"

_LABELS = f"""\
{_ALL}
QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY number DESC) = 1"""
"""One row a clip: a later snapshot corrects an earlier one."""

_LABEL_SNAPSHOTS = f"""\
WITH rows AS ({_ALL}),
firsts AS (SELECT clip_id, min(number) AS number, any_value(split) AS split FROM rows GROUP BY ALL)
SELECT
    snapshots.*,
    count(*) AS num_clips,
    count_if(split = 'train')::BIGINT AS num_train,
    count_if(split = 'valid')::BIGINT AS num_valid,
    count_if(split = 'test')::BIGINT AS num_test
FROM (
    SELECT number, snapshot, parent, min(added_at) AS added_at, count(*) AS num_rows
    FROM rows GROUP BY ALL
) AS snapshots
JOIN firsts ON firsts.number <= snapshots.number
GROUP BY ALL"""
"""One row a snapshot: the rows that it added or corrected, and all clips labelled by then."""

_NOTE = """\
-- Views over the results store in {root}
-- for any DuckDB client:  duckdb -init catalog.sql
-- If the folder was moved: run `emi status --results FOLDER`, which writes this file anew.
"""


def catalog_sql(root: Path) -> str:
    """Return the statements that create the views over the store at ``root`` (absolute)."""
    return _NOTE.format(root=" ".join(str(root).splitlines())) + "".join(
        f"CREATE OR REPLACE VIEW {name} AS\n{body};\n" for name, body in _views(root).items()
    )


def connect(root: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection with the views over a store and no way out of it.

    No extension is loaded or downloaded, no file outside the store can be read and none at all
    be written, and none of that can be set otherwise.

    Raises:
        QueryError: the views cannot be made: a damaged part.
    """
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": "",  # else it spills into .tmp of whatever folder we are in
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(catalog_sql(root.absolute()))
        folders = ", ".join(
            _quoted(form(root.absolute() / table)) for table in TABLES for form in (str, _pattern)
        )
        connection.execute(f"SET allowed_directories = [{folders}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        connection.close()
        raise QueryError(f"{root}: the views cannot be made: {first_line(error)}") from error
    return connection


def first_line(error: duckdb.Error) -> str:
    """Return what DuckDB says of an error, without the excerpt of the SQL that it adds."""
    return str(error).strip().partition("\n")[0]


def current_view(table: str) -> str:
    """Return the name of the view of a table's current rows with ``part``, the part they are in."""
    return f"current_{table}"


def _views(root: Path) -> dict[str, str]:
    files = {table: _quoted(f"{_pattern(root / table)}/*.parquet") for table in TABLES}
    current = {
        current_view(table): _CURRENT_COMPANION.format(files=files[table]) for table in COMPANIONS
    }
    shown = {
        table: f"SELECT * EXCLUDE (filename, part) FROM {current_view(table)}"
        for table in (SCORES, *COMPANIONS)
    }
    return {
        current_view(SCORES): _CURRENT_SCORES.format(files=files[SCORES]),
        **current,
        **shown,
        "rejections": "SELECT * FROM scores WHERE status = 'rejected'",
        "unseen_scores": "SELECT * FROM scores WHERE training_split IS DISTINCT FROM 'train'",
        LABELS: _LABELS.format(files=files[LABELS]),
        "label_snapshots": _LABEL_SNAPSHOTS.format(files=files[LABELS]),
        **{table: _ALL.format(files=files[table]) for table in PLAIN},
    }


def _pattern(path: Path) -> str:
    """Return the glob pattern that fits this path alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
