"""Files beside the tables that may name clips: logs, reports, notes of the inbox, models' cards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emi_model.errors import StoreError
from tasks.forgetting.journal import FORGETTING
from tasks.forgetting.spelling import Spellings
from tasks.forgetting.wanted import WantedClips
from tasks.home import home
from tasks.labels.inbox import MEMORY
from tasks.storage.folder import Folder
from tasks.storage.local import ASIDE_PATTERN, LocalFolder
from tasks.store.store import ResultsStore
from tasks.store.verify import ASIDE
from tasks.store.writers import ORPHAN_SECONDS

_BESIDE = ("reports", "logs", MEMORY)
"""Folders of a store with texts."""

_OF_MACHINE = ("logs", "artifacts")
"""Folders of `EMI_HOME` with texts: those of stores in buckets, MLflow's artifacts."""

_SUFFIXES = (
    ".json",
    ".jsonl",
    ".md",
    ".txt",
    ".csv",
    ".tsv",
    ".html",
    ".log",
    ".yaml",
    ".err",
    ".out",
)
_MAX_BYTES = 256 * 2**20

_DATABASES = ("mlflow.db", "prefect")
"""Below `EMI_HOME`, of other programs: they are looked at, and not changed."""


def naming_files(store: ResultsStore, wanted: WantedClips) -> Iterator[tuple[Folder, str, bytes]]:
    """Yield the texts of a store that name clips: folder, name, and the text without names.

    Raises:
        StoreError: the store cannot be read.
    """
    with store.storage_errors():
        yield from _naming(store.folder, _BESIDE, wanted.spellings)


def naming_files_of_machine(wanted: WantedClips) -> Iterator[tuple[Folder, str, bytes]]:
    """Yield the texts in `EMI_HOME` that name clips, as `naming_files` does."""
    try:
        yield from _naming(LocalFolder(home()), _OF_MACHINE, wanted.spellings)
    except OSError as error:
        raise StoreError(f"{home()}: cannot be read: {error}") from error


def rewrite_texts(store: ResultsStore, wanted: WantedClips) -> None:
    """Take the names of clips from all of these texts.

    Raises:
        StoreError: one cannot be read or written.
    """
    for found in (naming_files(store, wanted), naming_files_of_machine(wanted)):
        for folder, name, content in found:
            try:
                folder.write(name, content)
            except OSError as error:
                raise StoreError(f"{folder.uri}/{name}: cannot be written: {error}") from error


def parts_aside(store: ResultsStore, wanted: WantedClips) -> list[str]:
    """Return the files of damaged parts set aside that hold rows of clips, or cannot be searched.

    Raises:
        StoreError: the store cannot be read.
    """
    with store.storage_errors():
        return [
            file.name
            for file in store.folder.files(ASIDE)
            if _may_hold(store.folder.read(file.name), wanted)
        ]


def remove_parts_aside(store: ResultsStore, wanted: WantedClips) -> None:
    """Remove these files.

    Raises:
        StoreError: the store cannot be written.
    """
    with store.storage_errors():
        store.writer.remove(parts_aside(store, wanted))


def remove_files_aside(store: ResultsStore) -> None:
    """Remove files that killed processes were writing aside, in a store on a disk.

    Those of journals are all of killed processes, since the store is locked; of others, which need
    no lock, those that are older than any write takes.

    Raises:
        StoreError: the store cannot be written.
    """
    if not isinstance(store.folder, LocalFolder):
        return
    oldest_ns = time.time_ns() - int(ORPHAN_SECONDS * 1e9)
    with store.storage_errors():
        for file in list(store.folder.files()):
            is_aside = Path(file.name).match(ASIDE_PATTERN)
            if is_aside and (
                file.name.startswith(f"{FORGETTING}/") or file.modified_ns < oldest_ns
            ):
                store.folder.remove(file.name)


def databases_naming(wanted: WantedClips) -> list[Path]:
    """Return the databases of other programs in `EMI_HOME` that name clips."""
    names = [json.dumps(one)[1:-1].encode() for one in wanted.clip_ids]
    names += [one.encode() for one in wanted.clip_ids]
    found = []
    for place in _DATABASES:
        for path in sorted({home() / place, *(home() / place).rglob("*")}):
            with suppress(OSError):  # removed meanwhile, or another user's
                if path.is_file() and path.stat().st_size <= _MAX_BYTES:
                    content = path.read_bytes()
                    found += [path] if any(name in content for name in names) else []
    return found


def _naming(
    folder: Folder, places: tuple[str, ...], spellings: Spellings
) -> Iterator[tuple[Folder, str, bytes]]:
    for place in places:
        for file in list(folder.files(place)):
            if file.size > _MAX_BYTES or not file.name.lower().endswith(_SUFFIXES):
                continue
            with suppress(FileNotFoundError):
                before = folder.read(file.name).decode(errors="surrogateescape")
                after = spellings.taken_from(before)
                if after != before:
                    yield folder, file.name, after.encode(errors="surrogateescape")


def _may_hold(content: bytes, wanted: WantedClips) -> bool:
    try:
        clip_ids = pq.read_table(pa.BufferReader(content), columns=["clip_id"])["clip_id"]
    except (OSError, ValueError, LookupError, pa.ArrowException):
        return True
    return not wanted.clip_ids.isdisjoint(clip_ids.to_pylist())
