"""The files of a results store, on a disk or in a bucket.

STORE/store.json       marks the folder as a store
STORE/scores/          one row a clip, model and coverage
STORE/timeline/        one row a second of a clip
STORE/windows/         one row a window of a clip (full coverage)
STORE/attributions/    what each modality and second adds to a score (--why)
STORE/transcripts/     one row a clip and ASR model
STORE/runs/            one file, one row a run
STORE/missing_clips/   one file: clips that are gone; likewise current_model/
STORE/labels/          one file a snapshot of labels
STORE/evaluations/     one file an evaluation; likewise decisions/, ablations/, comparisons/
STORE/clip_metadata/   one file a version of what is known of clips; likewise speaker_metadata/
STORE/forgotten/       one file a forgetting: that it was, and how much
STORE/compared_clips/  one file a training of a comparison
STORE/plots/           one picture an evaluation; reports/ of ablations, comparisons
STORE/catalog.sql      the views, for any DuckDB client
STORE/damaged/         parts that `emi verify --repair` has set aside
STORE/forgetting/      which clips a forgetting is about, until it is done
STORE/logs/            logs of Ray and Prefect; of a store in a bucket: EMI_HOME/logs
STORE/.staging/        parts that are being written; only on a disk
STORE/alive/           signs of life of the runs that write; only in a bucket
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from emi_model.errors import StoreError
from tasks.schema.tables import COMPANIONS, SCORES
from tasks.storage.folder import Folder, StoredFile

MARKER_FILE = "store.json"
CATALOG_FILE = "catalog.sql"
SUFFIX = ".parquet"
EMPTY_PART = "empty"
"""A part without rows in every table: the views have columns before the first run."""

MAX_LISTINGS = 20


class PartsChanged(StoreError):
    """Files were removed while they were read: a compaction replaced them by another."""


class Part(NamedTuple):
    """A committed file of a table.

    Attributes:
        table: its table.
        name: of the file, without folder and suffix.
        size: bytes.
        modified_ns: when it was written by the storage's clock, nanoseconds since 1970.
        tag: changes with the content; empty where the storage has none.
    """

    table: str
    name: str
    size: int
    modified_ns: int
    tag: str = ""

    @property
    def file(self) -> str:
        """The file's name in the store."""
        return file_name(self.table, self.name)


def file_name(table: str, name: str) -> str:
    """Return the name in the store of a table's file."""
    return f"{table}/{name}{SUFFIX}"


def parts_of(folder: Folder, table: str) -> list[Part]:
    """Return a table's files, the empty part among them, sorted by name."""
    return sorted(_parts(folder.files(table), table))


def parts_at_once(folder: Folder, tables: Collection[str]) -> list[Part]:
    """Return the files of some tables; scores and their companions as of one moment.

    Companions are written before their scores and removed after them. So if the list of scores is
    the same before and after the others are listed, no companion of a score was missed.

    Raises:
        StoreError: the list of scores changed each time.
    """
    for _ in range(MAX_LISTINGS):
        scores = parts_of(folder, SCORES) if SCORES in tables else []
        others = [part for table in tables if table != SCORES for part in parts_of(folder, table)]
        if not {SCORES, *COMPANIONS} & {part.table for part in others} or (
            parts_of(folder, SCORES) == scores
        ):
            return [*scores, *others]
    raise StoreError(f"{folder.uri}: is changed all the time: try again when less runs write here")


def _parts(files: Iterable[StoredFile], table: str) -> Iterable[Part]:
    for file in files:
        name = file.name.removeprefix(f"{table}/").removesuffix(SUFFIX)
        # a name that begins with a dot is another program's: ``._x.parquet`` of macOS
        if file.name == file_name(table, name) and "/" not in name and not name.startswith("."):
            yield Part(table, name, file.size, file.modified_ns, file.tag)
