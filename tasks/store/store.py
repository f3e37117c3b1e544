"""The results store: committed Parquet parts, in a folder on a disk or below a prefix in a bucket.

A part is written whole or not at all: on a disk aside, synced and renamed, in a bucket by one
request; what belongs to scores first, the scores that lead it last. The views show a clip's seconds
and windows only beside its scores of the same part, so a run that is killed in between leaves
nothing half visible; a later run removes what it left. On a disk one run writes at a time. In a
bucket several may: each writes parts of its own, and the views show one row a clip all the same.

Registers (`tasks.schema.tables.REGISTERS`) are small files that are never changed, and may be added
while a run writes. Facts (missing clips, the current model) are one file each, replaced whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from emi_model.errors import StoreError
from tasks.schema.tables import LEADING, RUNS, TABLES
from tasks.storage.open import child, open_folder
from tasks.storage.parquet_files import (
    Content,
    Metadata,
    holds_rows,
    parquet_bytes,
    with_metadata,
)
from tasks.store.damage import without_damaged
from tasks.store.frames import Answering
from tasks.store.initialise import check_marker, initialise, missing_tables, write_marker
from tasks.store.paths import EMPTY_PART, Part, file_name, parts_of
from tasks.store.queries.latest import APART_FROM
from tasks.store.readers import holds_store, read_all, read_rows, read_schemas, reread
from tasks.store.writers import writer_for

REPLACES = b"replaces"
"""Parquet metadata of a compacted part: names of the parts that it replaced."""


class DamagedPart(StoreError):
    """A part cannot be read as it was written."""


class ResultsStore(Answering):
    """A results store; `open_store` and `create_store` give one.

    Attributes:
        location, folder: as the user names it, a path or ``s3://...``; and what holds its files.
        writer: what writes there, as a disk or as a bucket.
        logs: folder on this machine where runs leave their logs.
    """

    def __init__(self, location: str | Path) -> None:
        """Take a place that is a store, or will be one.

        Raises:
            OSError: a setting of the bucket is missing.
        """
        self.location = str(location)
        self.folder = open_folder(self.location)
        self.writer = writer_for(self.folder)
        self.logs = self.writer.logs

    def parts(self, table: str) -> list[Part]:
        """Return a table's committed parts that hold rows, sorted by name."""
        with self.storage_errors():
            return [part for part in parts_of(self.folder, table) if part.name != EMPTY_PART]

    def read(self, part: Part) -> pa.Table:
        """Return what a part holds.

        Raises:
            DamagedPart: it cannot be read as it was written.
        """
        with self.storage_errors():
            content = self.folder.read(part.file)
        try:
            return pq.read_table(pa.BufferReader(content))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DamagedPart(f"{child(self.location, part.file)}: is damaged") from error

    def contents(self, parts: Sequence[Part]) -> list[bytes]:
        """Return parts as they were written, in their order."""
        with self.storage_errors():
            return read_all(self.folder, parts)

    def rows(
        self, table: str, schema: pa.Schema, wanted: ds.Expression, columns: list[str] | None = None
    ) -> pa.Table:
        """Return the wanted rows of a table, as `tasks.store.readers.read_rows` does of parts."""
        with self.storage_errors():
            return reread(
                lambda: read_rows(self.folder, self.parts(table), schema, wanted, columns)
            )

    def commit(
        self,
        name: str,
        tables: Mapping[str, Content],
        replaces: Sequence[str] | None = None,
        apart_from: Sequence[str] | None = None,
    ) -> None:
        """Commit one part; the tables are `tasks.schema.fields.checked`.

        Args:
            name: new in the store.
            tables: by name: leading tables with their companions; empty ones are left out.
            replaces: names of committed parts of these tables that it replaces; they are removed.
            apart_from: what it says of itself, see `tasks.store.queries.latest.APART_FROM`.

        Raises:
            StoreError: the disk is full, or does not take it for another reason.
        """
        said = ((REPLACES, replaces or None), (APART_FROM, apart_from))
        metadata = {key: json.dumps(names).encode() for key, names in said if names is not None}
        try:
            written = (one for one in LEADING if one in tables)
            for leading in (one for one in written if holds_rows(tables[one]) or replaces):
                for table in LEADING[leading]:
                    if table in tables and holds_rows(tables[table]):
                        self._put(table, name, tables[table])
                self._put(leading, name, tables[leading], metadata)
                self._remove(leading, replaces or [])
        except OSError as error:
            raise StoreError(
                f"{self.location}: a part could not be written ({error}): what was committed "
                "before stays; mend that and run again"
            ) from error

    def record_run(self, record: pa.Table) -> None:
        """Write or replace the one-row file of a run."""
        with self.storage_errors():
            self._put(RUNS, record["run_id"][0].as_py(), record)

    def replace(self, table: str, rows: pa.Table) -> None:
        """Replace all rows of a table of facts by others, `tasks.schema.fields.checked`.

        Raises:
            StoreError: the store cannot be written.
        """
        with self.storage_errors():
            self._put(table, table, rows)

    def record(self, register: str, name: str, content: pa.Table) -> None:
        """Add a file to a register; needs no lock.

        Args:
            register: one of `tasks.schema.tables.REGISTERS`.
            name: of the file, new to the register.
            content: `tasks.schema.registers.register_table`, or labels.

        Raises:
            StoreError: the name is taken, or the disk is full or does not take the file.
        """
        if not self.claim(register, name, content):
            final = child(self.location, file_name(register, name))
            raise StoreError(f"{final}: is there already, and is never changed: choose a new name")

    def claim(self, register: str, name: str, content: pa.Table) -> bool:
        """Add a file to a register unless another has the name; True if it was added.

        Raises:
            StoreError: the disk is full, or does not take the file for another reason.
        """
        file = file_name(register, name)
        try:
            self.folder.create(file, parquet_bytes(content))
        except FileExistsError:
            return False
        except OSError as error:
            raise StoreError(
                f"{child(self.location, file)}: could not be written ({error}): nothing was added; "
                "mend that and try again"
            ) from error
        return True

    def recover(self) -> None:
        """Remove what killed runs left: staged files, orphans, parts that were replaced."""
        with self.storage_errors():
            self.writer.sweep()
            for leading in LEADING:
                self._recover(leading)

    def num_damaged(self) -> int:
        """Return how many parts have a damaged footer, in any table; the user is told of them."""
        with self.storage_errors():
            found = [part for table in TABLES for part in parts_of(self.folder, table)]
            return len(found) - len(without_damaged(self.folder, found))

    def silent_runs(self) -> list[str]:
        """Return runs that are not alive; the caller holds the lock."""
        with self.storage_errors():
            return self.writer.silent_runs()

    def forget(self, run_id: str) -> None:
        """Note that a silent run's record now says how it ended."""
        with self.storage_errors():
            self.writer.forget(run_id)

    def lock(self) -> AbstractContextManager[None]:
        """Lock the store for one writing run on a disk; a bucket takes several runs.

        Raises:
            StoreError: another run holds it.
        """
        return self.writer.lock()

    @contextmanager
    def alive(self, run_id: str) -> Iterator[None]:
        """Show other runs, until the context ends, that this run was not killed.

        Raises:
            StoreError: the bucket cannot be written.
        """
        with ExitStack() as stack:
            with self.storage_errors():
                stack.enter_context(self.writer.alive(run_id))
            yield

    def _recover(self, leading: str) -> None:
        companions = [part for table in LEADING[leading] for part in self.parts(table)]
        leaders, replaced = reread(lambda: self._replaced(leading))
        committed = {part.name for part in leaders}
        left = [part for part in companions if part.name in replaced]
        orphans = [part for part in companions if part.name not in replaced | committed]
        self.writer.remove([part.file for part in leaders if part.name in replaced])
        self.writer.remove([part.file for part in (*left, *self.writer.left(orphans))])

    def _replaced(self, leading: str) -> tuple[list[Part], set[str]]:
        """Return a leading table's committed parts, and the names of parts that these replace."""
        leaders, replaced = self.parts(leading), set()
        for schema in read_schemas(self.folder, leaders).values():
            replaced |= set(json.loads((schema.metadata or {}).get(REPLACES, b"[]")))
        return leaders, replaced

    def _put(self, table: str, name: str, content: Content, metadata: Metadata = None) -> None:
        self.writer.put(file_name(table, name), with_metadata(content, metadata))

    def _remove(self, leading: str, names: Sequence[str]) -> None:
        for table in (leading, *LEADING[leading]):
            self.writer.remove([file_name(table, name) for name in names])

    @contextmanager
    def storage_errors(self) -> Iterator[None]:
        """Turn errors of the disk or bucket, inside, into a StoreError of one line."""
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self.location}: cannot be read or written: {error}") from error


def create_store(location: str | Path) -> ResultsStore:
    """Return the store at a location; a folder that is absent or empty becomes one.

    Raises:
        StoreError: the folder holds something else, or cannot be written.
    """
    try:
        store = ResultsStore(location)
        if not holds_store(location):
            if store.writer.holds_others() and not holds_store(location):
                raise StoreError(f"{location}: holds other files: choose an empty or new folder")
            # The marker first: if this process is killed after it, the store can be completed.
            write_marker(store.folder)
    except OSError as error:
        raise StoreError(f"{location}: cannot be made a results store: {error}") from error
    check_marker(store.location, store.folder)
    try:
        store.writer.prepare()
        initialise(store.location, store.folder)
    except OSError as error:
        raise StoreError(
            f"{location}: cannot be written ({error.strerror or error}): make it writable, or "
            "choose another; `emi query` and `emi status` read it as it is"
        ) from error
    return store


def open_store(location: str | Path) -> ResultsStore:
    """Return the store at a location; one of an earlier version gets the tables that it lacks.

    Raises:
        StoreError: there is none, it is of another format, or it cannot be read.
    """
    try:
        store = ResultsStore(location)
        check_marker(store.location, store.folder)
        if missing_tables(store.folder):
            with suppress(OSError):  # a folder that cannot be written may yet be read
                store.writer.prepare()
                initialise(store.location, store.folder)
    except OSError as error:
        raise StoreError(f"{location}: cannot be read: {error}") from error
    return store
