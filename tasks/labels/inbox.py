"""An inbox of label files: each content is added to a store once, in the order of its making.

What became of a file is a small file of its own in the store's folder:

    inbox/CONTENT-FILE-taken.json      its labels are in the store (or were, before a correction)
    inbox/CONTENT-FILE-refused.json    something is wrong with it; the message is inside
    inbox/CONTENT-FILE-begun.json      written first: whoever is killed while adding is found out

CONTENT is the hash of the bytes, FILE that of name, size and modification time. A content that was
taken is never applied again, under any name and whatever its date: a newer file may have corrected
it since. A refused file is tried again when it changes.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from emi_model.errors import LabelError
from tasks.corpus.arrivals import SETTLED_SECONDS
from tasks.labels.add_labels import AddReport, add_labels, describe_snapshots
from tasks.labels.splits import Shares
from tasks.storage.folder import Folder, StoredFile
from tasks.storage.open import open_folder
from tasks.store.store import create_store

MEMORY = "inbox"
LABEL_SUFFIXES = (".csv", ".parquet")

BEGUN, TAKEN, REFUSED = "begun", "taken", "refused"
REPEATED, WAITING = "taken before", "waiting"
_NAME = re.compile(rf"([0-9a-f]+)-([0-9a-f]+)-({BEGUN}|{TAKEN}|{REFUSED})\.json")

PAUSE_SECONDS = 2.0
"""Between two looks at what seems to be done: a file that grows meanwhile waits as well."""

HASH_CHARS = 24


class NewFile(NamedTuple):
    """What becomes of a file of the inbox.

    Attributes:
        name: below the inbox.
        outcome: ``taken``, ``refused``, ``taken before``, or ``waiting``.
        said: in one line, or the list of its problems.
        snapshot: id of the snapshot that it became; None if it became none.
        number: of that snapshot.
    """

    name: str
    outcome: str
    said: str
    snapshot: str | None = None
    number: int | None = None


@dataclass(frozen=True)
class Terms:
    """How label files are read; as `tasks.labels.add_labels.add_labels` takes them."""

    shares: Shares = field(default_factory=Shares)
    seed: int = 1
    targets: Sequence[str] = ()


def look_into(
    inbox: str, labels: str, corpus: str, terms: Terms | None = None
) -> Iterator[NewFile]:
    """Add the label files that are new in an inbox to a store, the oldest first.

    Yields what becomes of each. A file is done with when the next one is asked for: whoever is
    killed before that is told of it again.

    Args:
        inbox: folder or bucket.
        labels: the results store; made if it is not there.
        corpus: folder, bucket or manifest with the clips.
        terms: how the files are read.

    Raises:
        CorpusError: no such corpus.
        StoreError: the store is foreign or damaged.
        OSError: the inbox cannot be listed.
    """
    create_store(labels)
    memory = _Memory(open_folder(labels))
    source = open_folder(inbox)
    settled, waiting = _sorted_out(source, memory)
    for file in settled:
        try:
            content = source.read(file.name)
        except FileNotFoundError:
            continue
        sha256 = hashlib.sha256(content).hexdigest()[:HASH_CHARS]
        if sha256 in memory.contents:
            found = NewFile(file.name, REPEATED, "this content was taken before, and is not again")
        else:
            found = _added(file, content, sha256, memory, _Where(labels, corpus, terms or Terms()))
        yield found
        memory.settle(sha256, file, found)
    for file in waiting:
        yield NewFile(file.name, WAITING, "may still be written")


class _Where(NamedTuple):
    labels: str
    corpus: str
    terms: Terms


class _Memory:
    """What became of the files, in the store's folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        names = (_NAME.fullmatch(Path(file.name).name) for file in folder.files(MEMORY))
        known = [name.groups() for name in names if name is not None]
        self.settled = {key for _, key, outcome in known if outcome != BEGUN}
        self.contents = {content for content, _, outcome in known if outcome == TAKEN}
        self._begun = {(content, key) for content, key, outcome in known if outcome == BEGUN}

    def begin(self, content: str, file: StoredFile, num_snapshots: int) -> int:
        """Note that a file is being added; returns the snapshots there were when that began."""
        name = f"{MEMORY}/{content}-{_key(file)}-{BEGUN}.json"
        if (content, _key(file)) in self._begun:
            return int(json.loads(self._folder.read(name))["num_snapshots"])
        self._write(name, file, num_snapshots=num_snapshots)
        return num_snapshots

    def settle(self, content: str, file: StoredFile, found: NewFile) -> None:
        """Note what became of a file."""
        kept = REFUSED if found.outcome == REFUSED else TAKEN
        self._write(f"{MEMORY}/{content}-{_key(file)}-{kept}.json", file, said=found.said)
        self.settled.add(_key(file))
        if kept == TAKEN:
            self.contents.add(content)

    def _write(self, name: str, file: StoredFile, **facts: object) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._folder.write(name, json.dumps({**file._asdict(), **facts, "at": now}).encode())


def _sorted_out(source: Folder, memory: _Memory) -> tuple[list[StoredFile], list[StoredFile]]:
    """Return the files that nobody has seen: those that are whole, and those that may not be."""
    new = _unseen(source, memory)
    if not new:
        return [], []
    time.sleep(PAUSE_SECONDS)
    still = set(_unseen(source, memory))
    young = time.time_ns() - int(SETTLED_SECONDS * 1e9)
    waiting = [file for file in new if file not in still or file.modified_ns > young]
    return [file for file in new if file not in waiting], waiting


def _unseen(source: Folder, memory: _Memory) -> list[StoredFile]:
    files = [
        file
        for file in source.files()
        if Path(file.name).suffix.lower() in LABEL_SUFFIXES
        and not Path(file.name).name.startswith(".")
        and _key(file) not in memory.settled
    ]
    return sorted(files, key=lambda file: (file.modified_ns, file.name))


def _added(
    file: StoredFile,
    content: bytes,
    sha256: str,
    memory: _Memory,
    where: _Where,
) -> NewFile:
    """Add one file to the store, unless a look that was cut short has done so."""
    labels, corpus, terms = where
    chain = describe_snapshots(labels)
    began_at = memory.begin(sha256, file, len(chain))
    name = Path(file.name).name
    for link in chain[began_at:]:
        if link["file"] == name:
            said = "was added by a look that was cut short"
            return NewFile(file.name, TAKEN, said, link["snapshot"], link["number"])
    if len(chain) > began_at:
        said = "a look was cut short while it was added, and others added labels since: touch it"
        return NewFile(file.name, REFUSED, said)
    with TemporaryDirectory(prefix="emi-labels-") as folder:
        copy = Path(folder, name)
        copy.write_bytes(content)
        try:
            report = add_labels(
                labels,
                copy,
                corpus,
                shares=terms.shares,
                seed=terms.seed,
                targets=terms.targets,
            )
        except LabelError as error:
            return NewFile(file.name, REFUSED, str(error).replace(f"{folder}/", ""))
    return NewFile(file.name, TAKEN, _told(report), report.snapshot, report.number)


def _told(report: AddReport) -> str:
    if report.snapshot is None:
        return f"nothing new: snapshot {report.number} has all of it"
    changes = f"{report.num_added} clips added, {report.num_corrected} corrected"
    return f"snapshot {report.number}: {changes}"


def _key(file: StoredFile) -> str:
    """Return what tells this state of a file from another."""
    text = json.dumps([file.name, file.size, file.modified_ns])
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_CHARS]
