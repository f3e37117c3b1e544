"""The SQL views over a results store, and the sandbox in which other people's SQL runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from emi_model.errors import QueryError
from tasks.schema.tables import LEADING, TABLES
from tasks.storage.folder import Folder
from tasks.storage.local import LocalFolder
from tasks.storage.open import is_remote, local_path, open_folder
from tasks.store.bounds import memory_limit
from tasks.store.damage import without_damaged
from tasks.store.mirror import local_parts
from tasks.store.paths import EMPTY_PART, MARKER_FILE, Part, PartsChanged, parts_at_once
from tasks.store.queries.clip_views import WITHIN, with_bases
from tasks.store.queries.opening import Opening
from tasks.store.queries.quoting import path_pattern, quoted, text_list
from tasks.store.queries.statements import READ_BY, statements
from tasks.store.queries.statements import VIEWS as VIEWS  # for who asks of views

EVERY_PART = "[!.]*.parquet"
"""Pattern of a table's parts; a name that begins with a dot is another program's."""

_TABLELESS = ("unnest", "range", "generate_series")
"""Functions in FROM that read no table."""

_NOTE = """\
-- Views over the results store in {place}
-- for any DuckDB client:  duckdb -init catalog.sql
-- If the store was moved: start the client in its folder; or say where it is before this file:
-- SET VARIABLE emi_store = '/new/place';  or run `emi status`, which writes this file anew.
CREATE OR REPLACE MACRO emi_store() AS coalesce(getvariable('emi_store'), {pattern});
"""
_MOVED = """SET VARIABLE emi_store = (SELECT coalesce(getvariable('emi_store')::VARCHAR, (
    SELECT '.' WHERE NOT EXISTS (FROM glob({marker})) AND EXISTS (FROM glob('{name}'))
)));
"""
_BUCKET_NOTE = """\
-- The client needs access to the bucket: INSTALL httpfs; LOAD httpfs; CREATE SECRET (TYPE s3, ...);
-- TYPE gcs for gs://, and for az:// the extension azure and TYPE azure.
"""

_CONFIG: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",  # else it spills into .tmp of the working folder
}


def catalog_sql(location: str | Path) -> str:
    """Return the statements that create the views over a store, for any DuckDB client."""
    place = str(location)
    remote = is_remote(place)
    if not remote:
        place = str(local_path(place).absolute())
    head = _NOTE.format(place=" ".join(place.splitlines()), pattern=quoted(path_pattern(place)))
    marker = quoted(f"{path_pattern(place)}/{MARKER_FILE}")
    moved = _BUCKET_NOTE if remote else _MOVED.format(marker=marker, name=MARKER_FILE)
    every = {table: f"emi_store() || {quoted(f'/{table}/{EVERY_PART}')}" for table in TABLES}
    return head + moved + statements(every, READ_BY)


@contextmanager
def connect(
    location: str | Path,
    *,
    views: Collection[str] = VIEWS,
    parts: Collection[str] | None = None,
    verified: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection with the views over a store and no way out of it.

    No extension is loaded or downloaded, no file outside the store can be read and none at all
    be written, and none of that can be set otherwise.

    Args:
        location: of the store.
        views: that are wanted; only their tables are read.
        parts: names of the only parts that count; default all.
        verified: read all parts first, and pass over those with a damaged page; those with a
            damaged footer are passed over in any case.
        settings: DuckDB's, in place of its usual bounds here.

    Raises:
        QueryError: the views cannot be made.
        PartsChanged: a compaction removed listed parts meanwhile; only of a store in a bucket.
        OSError: the bucket cannot be read.
    """
    folder = open_folder(str(location))
    tables = {table for view in views for table in READ_BY[view]}
    found = _parts_named(folder, tables, parts)
    with (
        local_parts(folder, found) as root,
        duckdb.connect(config=_CONFIG | memory_limit() | dict(settings or {})) as connection,
    ):
        allowed = [form(str(root / table)) for table in tables for form in (str, path_pattern)]
        try:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            connection.execute("SET parquet_metadata_cache = true")  # views read it again and again
            try:
                if verified:
                    raise duckdb.Error
                _make_views(connection, root, found, views)
            except duckdb.Error:
                _check_still_there(folder, found)
                whole = without_damaged(folder, found, whole=True)
                _make_views(connection, root, whole, views)
            connection.execute(f"SET allowed_directories = {text_list(allowed)}")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            message = first_line(error).replace(str(root), folder.uri)
            raise QueryError(f"{location}: the views cannot be made: {message}") from error
        try:
            yield connection
        except (duckdb.Error, QueryError):
            _check_still_there(folder, found)
            raise


def _make_views(
    connection: duckdb.DuckDBPyConnection, root: Path, parts: Sequence[Part], views: Iterable[str]
) -> None:
    wanted = with_bases(views)
    tables = {table for view in views for table in READ_BY[view]}
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {WITHIN}")
    quicker = Opening(connection, root, parts, wanted).views
    connection.execute(statements(_these_files(root, tables, parts), wanted, quicker))


def _check_still_there(folder: Folder, parts: Iterable[Part]) -> None:
    """Raise PartsChanged if a compaction removed parts from a disk; a bucket's were fetched."""
    if isinstance(folder, LocalFolder) and not all(folder.exists(part.file) for part in parts):
        raise PartsChanged(
            f"{folder.uri}: files were compacted away while they were read: try again"
        )


def first_line(error: Exception) -> str:
    """Return the message of DuckDB's error, without the excerpt of the SQL that it adds."""
    return str(error).strip().partition("\n")[0]


def views_read(sql: str) -> Collection[str]:
    """Return the views that a question names, or all where its text does not say it.

    It does not where it asks which tables there are, or calls a function that may read any.

    Raises:
        QueryError: it is no text: a shell passes on any bytes.
    """
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise QueryError(
            f"the question is no UTF-8 (byte {ord(sql[error.start]) & 0xFF:#x} after "
            f"{sql[: error.start][-20:]!r}): a clip id has such a byte as a backslash, x, hex"
        ) from error
    with _parser().cursor() as parser:
        tree = parser.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
    nodes: list[dict[str, Any]] = []

    def note(node: dict[str, Any]) -> dict[str, Any]:
        nodes.append(node)
        return node

    try:
        json.loads(tree, object_hook=note)
    except RecursionError:
        return VIEWS
    if nodes[-1]["error"] or any(map(_may_read_any, nodes)):
        return VIEWS
    names = {node["table_name"].lower() for node in nodes if node.get("type") == "BASE_TABLE"}
    names -= {str(node["key"]).lower() for node in nodes if "key" in node} - READ_BY.keys()  # WITH
    return names if names <= READ_BY.keys() else VIEWS


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """Return the database, of no data, that parses all questions: one takes 17 ms to open."""
    return duckdb.connect(config=_CONFIG | {"threads": 1})


def _may_read_any(node: Mapping[str, Any]) -> bool:
    """Tell whether a node of DuckDB's syntax tree may read, or be about, any table."""
    kind = node.get("type")
    if kind == "TABLE_FUNCTION":
        return node["function"]["function_name"].lower() not in _TABLELESS
    return kind == "SHOW_REF"


def _parts_named(
    folder: Folder, tables: Collection[str], names: Collection[str] | None
) -> list[Part]:
    """Return the parts of these names, or all, and the empty ones.

    Raises:
        PartsChanged: a name is of no part.
    """
    found = parts_at_once(folder, tables)
    if names is None:
        return found
    if set(names) - {part.name for part in found if part.table in LEADING}:
        raise PartsChanged(f"{folder.uri}: parts were compacted away: try again")
    return [part for part in found if part.name in {EMPTY_PART, *names}]


def _these_files(root: Path, tables: Collection[str], parts: Iterable[Part]) -> dict[str, str]:
    listed: dict[str, list[str]] = {table: [] for table in tables}
    for part in parts:
        listed[part.table].append(path_pattern(str(root / part.file)))
    return {table: text_list(paths) for table, paths in listed.items()}
