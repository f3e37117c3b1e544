"""DuckLake: a catalogue with the tables of the chosen clips, for those who keep a lakehouse.

It is written by DuckDB's extension ``ducklake``, which is loaded where it is installed and never
downloaded. The format: https://ducklake.select/docs
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from emi_model.errors import ExportError
from tasks.exports.selection import CHOSEN, Selection
from tasks.exports.target import ExportTarget
from tasks.store.queries.quoting import quoted

EXTENSION = "ducklake"
CATALOGUE = "emi.ducklake"
_FILES = "data"

_CONFIG: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_TABLES = {
    "scores": f"FROM {CHOSEN} WHERE {{part}}",
    "timeline": f"FROM timeline SEMI JOIN {CHOSEN} USING (clip_id) WHERE {{part}}",
    "transcripts": f"FROM transcripts SEMI JOIN {CHOSEN} USING (clip_id) WHERE {{part}}",
    "labels": f"FROM labels SEMI JOIN {CHOSEN} USING (clip_id) WHERE {{part}}",
}


def write_ducklake(selection: Selection, target: ExportTarget) -> int:
    """Write the catalogue `CATALOGUE` and its files; return how many clips.

    Raises:
        ExportError: the extension is not installed.
    """
    with lake(target.folder) as connection:
        number = fill(connection, selection)
    # the catalogue knows its files by the folder that they were written to
    with duckdb.connect(str(target.folder / CATALOGUE)) as catalogue:
        catalogue.execute(
            "UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'",
            [f"{target.place.rstrip('/')}/{_FILES}/"],
        )
    return number


@contextmanager
def lake(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection whose current catalogue is a new DuckLake in a folder.

    Raises:
        ExportError: the extension is not installed.
    """
    with duckdb.connect(config=_CONFIG) as connection:
        try:
            connection.execute(f"LOAD {EXTENSION}")
        except duckdb.Error as error:
            raise ExportError(
                f"DuckDB's extension {EXTENSION} is not installed, and is not downloaded by itself:"
                f" `duckdb -c 'INSTALL {EXTENSION}'` with DuckDB {duckdb.__version__}, or choose "
                "the form parquet"
            ) from error
        connection.execute(
            f"ATTACH {quoted(f'ducklake:{folder / CATALOGUE}')} AS lake "
            f"(DATA_PATH {quoted(f'{folder}/{_FILES}/')})"
        )
        connection.execute("USE lake")
        yield connection
        connection.execute("USE memory; DETACH lake")


def fill(connection: duckdb.DuckDBPyConnection, selection: Selection) -> int:
    """Write the tables of the chosen clips into a connection's current catalogue, slice by slice.

    Returns:
        How many clips it holds.
    """
    number = 0
    for place, part in enumerate(selection.slices()):
        for name, sql in _TABLES.items():
            rows = selection.table(f"{sql.format(part=part)} ORDER BY clip_id")
            connection.register("slice_of_rows", rows)
            connection.execute(
                f"INSERT INTO {name} FROM slice_of_rows"
                if place
                else f"CREATE TABLE {name} AS FROM slice_of_rows"
            )
            connection.unregister("slice_of_rows")
            if name == "scores":
                number += rows.num_rows
                selection.advance(rows.num_rows)
    return number
