"""Makes a folder a results store: its marker, an empty part of each table, its catalog."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from emi_model.errors import StoreError
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.storage.folder import Folder
from tasks.storage.parquet_files import parquet_bytes
from tasks.store.paths import CATALOG_FILE, EMPTY_PART, MARKER_FILE, file_name
from tasks.store.views import catalog_sql

STORE_FORMAT = 1


def write_marker(folder: Folder) -> None:
    """Mark a folder as a store; nothing if it is marked."""
    marker = json.dumps({"emi_results_store": STORE_FORMAT}) + "\n"
    with suppress(FileExistsError):
        folder.create(MARKER_FILE, marker.encode())


def check_marker(location: str, folder: Folder) -> None:
    """Check that a folder is a store of this version's format.

    Raises:
        StoreError: it is not.
    """
    try:
        marker = json.loads(folder.read(MARKER_FILE))
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise StoreError(
            f"{location}: no results store here (no readable {MARKER_FILE}): `emi process` or "
            "`emi labels add` makes one"
        ) from error
    found = marker.get("emi_results_store") if isinstance(marker, dict) else None
    if found != STORE_FORMAT:
        raise StoreError(
            f"{location}: results store of format {found!r}, this version reads {STORE_FORMAT}"
        )


def missing_tables(folder: Folder) -> list[str]:
    """Return the tables that lack some of the columns that this version writes, or all."""

    def lacks(table: str) -> bool:
        try:
            content = folder.read(file_name(table, EMPTY_PART))
            found = pq.read_schema(pa.BufferReader(content)).remove_metadata()
        except (OSError, pa.ArrowException):
            return True
        return not found.equals(TABLE_SCHEMAS[table].remove_metadata())

    with ThreadPoolExecutor(len(TABLE_SCHEMAS)) as pool:
        found = zip(TABLE_SCHEMAS, pool.map(lacks, TABLE_SCHEMAS), strict=True)
        return [table for table, is_lacking in found if is_lacking]


def initialise(location: str, folder: Folder) -> None:
    """Write the empty parts and the catalog that a new or an older store lacks."""
    for table in missing_tables(folder):
        empty = TABLE_SCHEMAS[table].empty_table()
        folder.write(file_name(table, EMPTY_PART), parquet_bytes(empty))
    catalog = catalog_sql(location).encode()
    if not folder.exists(CATALOG_FILE) or folder.read(CATALOG_FILE) != catalog:
        folder.write(CATALOG_FILE, catalog)
