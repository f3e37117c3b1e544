"""The SQL views over a results store, and the sandbox in which other people's SQL runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from emi_model.errors import QueryError
from tasks.schema.tables import (
    ABLATIONS,
    ATTRIBUTIONS,
    CLIP_METADATA,
    COMPANIONS,
    COMPARED_CLIPS,
    COMPARISONS,
    CURRENT_MODEL,
    DECISIONS,
    EVALUATIONS,
    EXPLANATIONS,
    FORGOTTEN,
    LABELS,
    LEADING,
    MISSING_CLIPS,
    RUNS,
    SCORES,
    SPEAKER_METADATA,
    TABLES,
    TRANSCRIPTS,
)
from tasks.storage.folder import Folder
from tasks.storage.local import LocalFolder
from tasks.storage.open import is_remote, local_path, open_folder
from tasks.store.bounds import memory_limit
from tasks.store.damage import without_damaged
from tasks.store.mirror import local_parts
from tasks.store.paths import EMPTY_PART, MARKER_FILE, Part, PartsChanged, parts_at_once
from tasks.store.queries.clip_views import (
    CLIPS,
    DERIVED,
    EMPTY_LIST,
    WITHIN,
    all_view,
    clip_views,
    current_view,
    missing_clips_in,
    with_bases,
)
from tasks.store.queries.explanation_views import LATEST_EXPLANATIONS
from tasks.store.queries.label_views import EVERY_ROW, LATEST_REPORTS, label_views
from tasks.store.queries.metadata_views import metadata_views
from tasks.store.queries.transcript_views import CLIPS_SAYING, transcript_views

PLAIN = (
    *(RUNS, MISSING_CLIPS, CURRENT_MODEL, EVALUATIONS, DECISIONS, ABLATIONS, COMPARED_CLIPS),
    FORGOTTEN,
)
"""Tables of which every row counts."""
VIEWS = (
    *(SCORES, *DERIVED, CLIPS, *COMPANIONS, TRANSCRIPTS),
    *map(all_view, (SCORES, *COMPANIONS, TRANSCRIPTS)),
    *(RUNS, LABELS, CLIP_METADATA, SPEAKER_METADATA, "label_snapshots"),
    *(EVALUATIONS, DECISIONS, ABLATIONS, EXPLANATIONS, COMPARISONS, COMPARED_CLIPS),
    *(FORGOTTEN, MISSING_CLIPS, CURRENT_MODEL),
)
_FACTS = (MISSING_CLIPS, CURRENT_MODEL)
_LATER = (
    *(*_FACTS, TRANSCRIPTS, ATTRIBUTIONS, COMPARISONS, COMPARED_CLIPS, EXPLANATIONS),
    *(CLIP_METADATA, SPEAKER_METADATA, FORGOTTEN),
)
"""Tables that a store of an earlier version may lack, if it cannot be written."""

_READ_BY: Mapping[str, tuple[str, ...]] = {
    **{table: (table,) for table in TABLES},
    **dict.fromkeys(
        (SCORES, *DERIVED, current_view(SCORES), all_view(SCORES)),
        (SCORES, *_FACTS),
    ),
    **{
        name: (SCORES, table, *_FACTS)
        for table in COMPANIONS
        for name in (table, current_view(table), all_view(table))
    },
    **dict.fromkeys(
        (TRANSCRIPTS, current_view(TRANSCRIPTS), all_view(TRANSCRIPTS)),
        (TRANSCRIPTS, MISSING_CLIPS),
    ),
    "label_snapshots": (LABELS,),
    CLIPS: (SCORES, *_FACTS, LABELS, CLIP_METADATA, SPEAKER_METADATA),
}
"""The tables that each view reads."""

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
    head = _NOTE.format(place=" ".join(place.splitlines()), pattern=_quoted(_pattern(place)))
    marker = _quoted(f"{_pattern(place)}/{MARKER_FILE}")
    moved = _BUCKET_NOTE if remote else _MOVED.format(marker=marker, name=MARKER_FILE)
    every = {table: f"emi_store() || {_quoted(f'/{table}/{EVERY_PART}')}" for table in TABLES}
    return head + moved + _statements(every, _READ_BY)


@contextmanager
def connect(
    location: str | Path,
    *,
    views: Collection[str] = VIEWS,
    parts: Collection[str] | None = None,
    verified: bool = False,
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

    Raises:
        QueryError: the views cannot be made.
        PartsChanged: a compaction removed listed parts meanwhile; only of a store in a bucket.
        OSError: the bucket cannot be read.
    """
    folder = open_folder(str(location))
    tables = {table for view in views for table in _READ_BY[view]}
    is_whole = parts is None and isinstance(folder, LocalFolder)  # DuckDB lists it itself
    found = [] if is_whole else _parts_named(folder, tables, parts)
    config = _CONFIG | memory_limit()
    with local_parts(folder, found) as root, duckdb.connect(config=config) as connection:
        files = _these_files(root, tables, found)
        if is_whole:
            every = {table: f"{_pattern(str(root / table))}/{EVERY_PART}" for table in tables}
            files = {table: _quoted(pattern) for table, pattern in every.items()}
            earlier = [table for table in _LATER if not any((root / table).glob(EVERY_PART))]
            files |= {table: EMPTY_LIST for table in earlier if table in files}
        allowed = [form(str(root / table)) for table in tables for form in (str, _pattern)]
        try:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            connection.execute("SET parquet_metadata_cache = true")  # views read it again and again
            wanted = with_bases(views)
            try:
                connection.execute("" if verified else _statements(files, wanted))
            except duckdb.Error:
                verified = True
            if verified:
                listed = found or parts_at_once(folder, tables)
                whole = without_damaged(folder, listed, whole=True)
                connection.execute(_statements(_these_files(root, tables, whole), wanted))
            connection.execute(f"SET allowed_directories = {_list(allowed)}")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            message = first_line(error).replace(str(root), folder.uri)
            raise QueryError(f"{location}: the views cannot be made: {message}") from error
        yield connection


def first_line(error: duckdb.Error) -> str:
    """Return the message of DuckDB's error, without the excerpt of the SQL that it adds."""
    return str(error).strip().partition("\n")[0]


def views_read(sql: str) -> Collection[str]:
    """Return the views that a question names, or all where its text does not say it.

    It does not where it asks which tables there are, or calls a function that may read any.
    """
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
    names -= {str(node["key"]).lower() for node in nodes if "key" in node} - _READ_BY.keys()  # WITH
    return names if names <= _READ_BY.keys() else VIEWS


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
        listed[part.table].append(_pattern(str(root / part.file)))
    return {table: _list(paths) for table, paths in listed.items()}


def _statements(files: Mapping[str, str], wanted: Collection[str]) -> str:
    views = {name: body for name, body in _views(files).items() if name in wanted}
    made = [f"CREATE OR REPLACE VIEW {name} AS\n{body};\n" for name, body in views.items()]
    if {SCORES, TRANSCRIPTS} <= views.keys():
        made.append(f"CREATE OR REPLACE MACRO {CLIPS_SAYING};\n")
    return f"CREATE SCHEMA IF NOT EXISTS {WITHIN};\n" + "".join(made)


def _views(files: Mapping[str, str]) -> dict[str, str]:
    """Return the views over some tables by name; companions only beside their scores."""
    views = clip_views(files)
    if files.get(TRANSCRIPTS, EMPTY_LIST) != EMPTY_LIST:
        views |= transcript_views(files[TRANSCRIPTS], missing_clips_in(files))
    if LABELS in files:
        views |= label_views(files[LABELS])
    views |= metadata_views(files)
    if files.get(EXPLANATIONS, EMPTY_LIST) != EMPTY_LIST:
        views[EXPLANATIONS] = LATEST_EXPLANATIONS.format(files=files[EXPLANATIONS])
    if files.get(COMPARISONS, EMPTY_LIST) != EMPTY_LIST:
        views[COMPARISONS] = LATEST_REPORTS.format(files=files[COMPARISONS])
    plain = {table: files[table] for table in PLAIN if files.get(table, EMPTY_LIST) != EMPTY_LIST}
    return views | {table: EVERY_ROW.format(files=listed) for table, listed in plain.items()}


def _pattern(path: str) -> str:
    """Return the glob pattern that fits this path alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
