"""The results store: a folder of committed Parquet parts.

    DIR/store.json       marks the folder as a store
    DIR/scores/          one row a clip, model and coverage
    DIR/timeline/        one row a second of a clip
    DIR/windows/         one row a window of a clip (full coverage)
    DIR/runs/            one file, one row a run
    DIR/labels/          one file a snapshot of labels
    DIR/evaluations/     one file an evaluation; likewise decisions/ and ablations/
    DIR/plots/           one picture an evaluation
    DIR/catalog.sql      the views, for any DuckDB client
    DIR/logs/            what Ray and Prefect said
    DIR/.staging/        parts that are being written

A part is written aside, synced and renamed: its timeline and windows first, its scores last. The
views show a clip's seconds and windows only beside its scores of the same part, so a run that is
killed between two renames leaves nothing half visible; the next run removes what it left.

Labels, evaluations, decisions and ablations are registers: small files, none of them ever changed,
that may be added while a run holds the store.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from emi_model.errors import StoreError
from tasks.registers import TABLE_SCHEMAS
from tasks.schemas import COMPANIONS, RUNS, SCORES, TABLES, scores_schema
from tasks.views import catalog_sql

FORMAT = 1
MARKER_FILE = "store.json"
CATALOG_FILE = "catalog.sql"
EMPTY_PART = "empty"
"""A part without rows in every table: the views have columns before the first run."""

REPLACES = b"replaces"
"""Parquet metadata of a compacted part: names of the parts that it took the place of."""

ROW_GROUP_ROWS = 122_880


class DoneClip(NamedTuple):
    """What planning needs of a clip's row: content hash (hex), size (bytes), modification (ns)."""

    content_sha256: str | None
    size: int | None
    modified_ns: int | None


class ResultsStore:
    """A results store on a local disk; `open_store` and `create_store` give one.

    Attributes:
        root: its folder.
        staging: where parts are written before they are committed, on the same file system.
        logs: where runs leave their logs.
    """

    def __init__(self, root: Path) -> None:
        """Take a folder that is a store."""
        self.root = root
        self.staging = root / ".staging"
        self.logs = root / "logs"

    def parts(self, table: str) -> list[Path]:
        """Return a table's committed parts that hold rows, sorted by name."""
        found = sorted((self.root / table).glob("*.parquet"))
        return [path for path in found if path.stem != EMPTY_PART]

    def commit(
        self, name: str, tables: Mapping[str, pa.Table], replaces: list[str] | None = None
    ) -> None:
        """Commit one part; the tables are `tasks.schemas.checked`.

        Args:
            name: of the part, new to the store.
            tables: by name: scores, and what belongs to them; empty ones are left out.
            replaces: names of committed parts that it takes the place of; they are removed.

        Raises:
            StoreError: the disk is full, or does not take the part for another reason.
        """
        try:
            for table in COMPANIONS:
                if tables[table].num_rows:
                    self._write(table, name, tables[table])
            self._write(SCORES, name, tables[SCORES], replaces)
        except OSError as error:
            raise StoreError(
                f"{self.root}: a part could not be written ({error}): what was committed before "
                "stays; make room and run again"
            ) from error
        self._remove(replaces or [])

    def record_run(self, record: pa.Table) -> None:
        """Write or replace the one-row file of a run."""
        self._write(RUNS, record["run_id"][0].as_py(), record)

    def record(self, register: str, name: str, content: pa.Table) -> None:
        """Add a file to a register; needs no lock.

        Args:
            register: labels, evaluations, decisions or ablations.
            name: of the file, new to the register.
            content: `tasks.registers.register_table`, or labels.

        Raises:
            StoreError: the name is taken, the disk is full, or does not take the file for another
                reason.
        """
        final = self.root / register / f"{name}.parquet"
        if final.exists():
            raise StoreError(f"{final}: is there already, and is never changed: choose a new name")
        try:
            self._write_beside(final, content)
        except OSError as error:
            raise StoreError(
                f"{final}: could not be written ({error}): nothing was added; make room and try "
                "again"
            ) from error

    def done_clips(self, model_sha256: str, coverage: str) -> dict[str, DoneClip]:
        """Return the latest rows under a model and coverage by clip id."""
        wanted = (ds.field("model_sha256") == model_sha256) & (ds.field("coverage") == coverage)
        columns = ["clip_id", "content_sha256", "bytes", "modified_ns", "scored_at"]
        parts = ds.dataset([str(part) for part in self.parts(SCORES)], schema=scores_schema())
        table = parts.to_table(columns=columns, filter=wanted).sort_by("scored_at")
        values = zip(*(table[column].to_pylist() for column in columns[:-1]), strict=True)
        return {clip_id: DoneClip(*rest) for clip_id, *rest in values}

    def recover(self) -> None:
        """Remove what a killed run left: staged files, orphans, parts that were replaced."""
        for path in self.staging.iterdir():
            path.unlink()
        metadata = [pq.read_schema(part).metadata or {} for part in self.parts(SCORES)]
        for content in metadata:
            self._remove(json.loads(content.get(REPLACES, b"[]")))
        committed = {part.stem for part in self.parts(SCORES)}
        for table in COMPANIONS:
            for part in self.parts(table):
                if part.stem not in committed:
                    part.unlink()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for one writing run; the lock ends with its process at the latest.

        Raises:
            StoreError: another run holds it.
        """
        with (self.root / ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(
                    f"{self.root}: another run is writing here: wait for it, or choose another "
                    "--results"
                ) from error
            yield

    def _write(
        self, table: str, name: str, content: pa.Table, replaces: list[str] | None = None
    ) -> None:
        """Write one file of a table so that it is either absent or complete."""
        metadata = {REPLACES: json.dumps(replaces).encode()} if replaces else None
        aside = self.staging / f"{table}-{name}.parquet"
        _write_synced(aside, content.replace_schema_metadata(metadata))
        place(aside, self.root / table / f"{name}.parquet")

    def _write_beside(self, final: Path, content: pa.Table) -> None:
        """Write one file aside in its own folder: `recover` empties the staging of others."""
        aside = final.with_name(f".{final.stem}-{os.getpid()}.tmp")
        try:
            _write_synced(aside, content)
            place(aside, final)
        finally:
            aside.unlink(missing_ok=True)

    def _is_complete(self) -> bool:
        """Tell whether every table has the columns that this version writes."""
        return all(_has_schema(self._empty_part(table), TABLE_SCHEMAS[table]) for table in TABLES)

    def _complete(self) -> None:
        """Make what a new store, or one of an earlier version, lacks."""
        for folder in (self.staging, self.logs, *(self.root / table for table in TABLES)):
            folder.mkdir(exist_ok=True)
        for table, schema in TABLE_SCHEMAS.items():
            if not _has_schema(self._empty_part(table), schema):
                self._write_beside(self._empty_part(table), schema.empty_table())
        aside = self.root / f".{CATALOG_FILE}-{os.getpid()}.tmp"
        aside.write_text(catalog_sql(self.root.absolute()), encoding="utf-8")
        place(aside, self.root / CATALOG_FILE)

    def _empty_part(self, table: str) -> Path:
        return self.root / table / f"{EMPTY_PART}.parquet"

    def _remove(self, names: list[str]) -> None:
        for name in names:
            for table in (SCORES, *COMPANIONS):
                (self.root / table / f"{name}.parquet").unlink(missing_ok=True)


def create_store(root: Path) -> ResultsStore:
    """Return the store at ``root``; a folder that is absent or empty becomes one.

    Raises:
        StoreError: the folder holds something else, or cannot be written.
    """
    store = ResultsStore(root)
    try:
        if (root / MARKER_FILE).exists():
            _check_marker(root)
        elif root.exists() and any(path != store.staging for path in root.iterdir()):
            raise StoreError(f"{root}: holds other files: choose an empty or new folder")
        store.staging.mkdir(parents=True, exist_ok=True)
        # The mark first: whoever is killed behind it leaves a store that can be completed.
        aside = store.staging / f"{MARKER_FILE}-{os.getpid()}"
        aside.write_text(json.dumps({"emi_results_store": FORMAT}) + "\n", encoding="utf-8")
        place(aside, root / MARKER_FILE)
        store._complete()
    except OSError as error:
        raise StoreError(f"{root}: cannot be made a results store: {error}") from error
    return store


def open_store(root: Path) -> ResultsStore:
    """Return the store at ``root``; one of an earlier version gets the tables that it lacks.

    Raises:
        StoreError: there is none, or it is of another format.
    """
    _check_marker(root)
    store = ResultsStore(root)
    if not store._is_complete():
        with suppress(OSError):  # of a folder that cannot be written, what is there is readable
            store._complete()
    return store


def _check_marker(root: Path) -> None:
    try:
        marker = json.loads((root / MARKER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{root}: no results store here (no readable {MARKER_FILE}): `emi process` or "
            "`emi labels add` makes one"
        ) from error
    found = marker.get("emi_results_store") if isinstance(marker, dict) else None
    if found != FORMAT:
        raise StoreError(f"{root}: results store of format {found!r}, this version reads {FORMAT}")


def place(aside: Path, final: Path) -> None:
    """Rename a synced file to its final name, and sync the folder that now names it."""
    aside.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_synced(path: Path, content: pa.Table) -> None:
    with path.open("wb") as file:
        pq.write_table(content, file, row_group_size=ROW_GROUP_ROWS, compression="zstd")
        file.flush()
        os.fsync(file.fileno())


def _has_schema(part: Path, schema: pa.Schema) -> bool:
    try:
        return bool(pq.read_schema(part).remove_metadata().equals(schema.remove_metadata()))
    except (OSError, pa.ArrowException):
        return False
