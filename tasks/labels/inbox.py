"""An inbox of label files: each content is added to a store once, the oldest file first.

The outcome of each file is a small file of its own in the store's folder:

    inbox/CONTENT-FILE-begun.json        written first: shows that a process was killed while adding
    inbox/CONTENT-FILE-unannounced.json  its labels are in the store, its event is still to be sent
    inbox/CONTENT-FILE-taken.json        its labels are in the store (or were, before a correction)
    inbox/CONTENT-FILE-refused.json      something is wrong with it; the message is inside

CONTENT is the hash of the bytes, FILE that of name, size and modification time. A content that was
taken is never applied again, under any name and whatever its date: a newer file may have corrected
it since. A refused file is tried again when it changes; until it is taken, ``FILE.refused.txt``
beside it says what is wrong. The chain of snapshots cannot stand in for these files: a file that is
refused, or that brings nothing new, leaves no snapshot.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from emi_model.errors import LabelError
from tasks.corpus.arrivals import SETTLED_SECONDS, is_young
from tasks.labels.add_labels import AddReport, add_labels, describe_snapshots
from tasks.labels.splits import Shares
from tasks.storage.folder import Folder, StoredFile
from tasks.storage.open import open_folder
from tasks.store.store import create_store

_LOGGER = logging.getLogger(__name__)

MEMORY = "inbox"
LABEL_SUFFIXES = (".csv", ".tsv", ".parquet")

BEGUN, UNANNOUNCED, TAKEN, REFUSED = "begun", "unannounced", "taken", "refused"
REPEATED, WAITING = "taken before", "waiting"
REFUSED_NOTE = ".refused.txt"
"""End of the name of the file that stands beside a refused one and says why."""

NOT_ANNOUNCED = "the server did not take the event: the next look sends it again"

_NAME = re.compile(rf"([0-9a-f]+)-([0-9a-f]+)-({BEGUN}|{UNANNOUNCED}|{TAKEN}|{REFUSED})\.json")

PAUSE_SECONDS = 2.0
"""Pause between two listings: a file that changes between them is still being written."""

HASH_CHARS = 24


class NewFile(NamedTuple):
    """A file of the inbox and its outcome.

    Attributes:
        name: below the inbox.
        outcome: ``taken``, ``refused``, ``taken before``, or ``waiting``.
        said: the outcome in one line, or the list of the file's problems.
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
    ignore: Sequence[str] = ()
    scale: float = 1.0
    speaker_from: str | None = None


def look_into(
    inbox: str,
    labels: str,
    corpus: str,
    terms: Terms | None = None,
    announce: Callable[[NewFile], bool] | None = None,
) -> Iterator[NewFile]:
    """Add the label files that are new in an inbox to a store, the oldest first.

    Yields the outcome of each file. It is recorded when the next file is asked for: a caller that
    is killed before that gets the same file again, and so does the next look where ``announce``
    returns False.

    Args:
        inbox: folder or bucket.
        labels: the results store; made if it is not there.
        corpus: folder, bucket or manifest with the clips.
        terms: how the files are read.
        announce: called with each file that became a snapshot; returns whether all who have to
            learn of it did.

    Raises:
        CorpusError: no such corpus.
        StoreError: the store is foreign or damaged.
        OSError: the inbox cannot be listed.
    """
    create_store(labels)
    memory = _Memory(open_folder(labels))
    source = open_folder(inbox)
    add = partial(add_labels, labels, corpus=corpus, **vars(terms or Terms()))
    complete, waiting = _complete_and_waiting(source, memory)
    for file in complete:
        try:
            content = source.read(file.name)
        except FileNotFoundError:
            continue
        sha256 = hashlib.sha256(content).hexdigest()[:HASH_CHARS]
        chain = describe_snapshots(labels)
        found = _earlier(file, sha256, memory, chain)
        if found is None:
            memory.begin(sha256, file, len(chain))
            found = _add(file, content, add)
        _note(source, file, found)
        if announce is None or found.snapshot is None or announce(found):
            yield found
            memory.settle(sha256, file, found)
        else:
            memory.leave(sha256, file, found)
            yield found._replace(said=f"{found.said}; {NOT_ANNOUNCED}")
    for file in waiting:
        yield NewFile(file.name, WAITING, "may still be written")


def _note(source: Folder, file: StoredFile, found: NewFile) -> None:
    """Write beside a refused file why it was refused; remove that once the file is taken."""
    name = f"{file.name}{REFUSED_NOTE}"
    try:
        if found.outcome == REFUSED:
            source.write(name, f"{found.said}\n".encode())
        else:
            source.remove(name)
    except OSError as error:  # the store's own record tells it too
        _LOGGER.warning("%s: cannot be kept in the inbox: %s", name, error)


class _Memory:
    """The outcomes of earlier files, in the store's folder.

    Attributes:
        settled: keys of the files that have an outcome.
        contents: hashes of what was taken.
        added: by hash, the snapshot of each content that was added, but not announced yet.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        names = (_NAME.fullmatch(Path(file.name).name) for file in folder.files(MEMORY))
        written = [name.groups() for name in names if name is not None]
        self.settled = {key for _, key, outcome in written if outcome not in (BEGUN, UNANNOUNCED)}
        self.contents = {content for content, _, outcome in written if outcome == TAKEN}
        self._begun = {(content, key) for content, key, outcome in written if outcome == BEGUN}
        self.added = {
            content: self._facts(content, key, UNANNOUNCED)
            for content, key, outcome in written
            if outcome == UNANNOUNCED and content not in self.contents
        }

    def begin(self, content: str, file: StoredFile, num_snapshots: int) -> None:
        """Record that a file is being added, and the number of snapshots before."""
        name = f"{MEMORY}/{content}-{_key(file)}-{BEGUN}.json"
        self._write(name, file, num_snapshots=num_snapshots)

    def begun(self, content: str, file: StoredFile) -> int | None:
        """Return the number of snapshots when a look began to add a file; None if none did."""
        if (content, _key(file)) not in self._begun:
            return None
        return int(self._facts(content, _key(file), BEGUN)["num_snapshots"])

    def leave(self, content: str, file: StoredFile, found: NewFile) -> None:
        """Record that a content was added, but not announced; the next look gets it again."""
        link = {"snapshot": found.snapshot, "number": found.number}
        self._write(f"{MEMORY}/{content}-{_key(file)}-{UNANNOUNCED}.json", file, **link)
        self.added[content] = link

    def settle(self, content: str, file: StoredFile, found: NewFile) -> None:
        """Record the outcome of a file."""
        kept = REFUSED if found.outcome == REFUSED else TAKEN
        self._write(f"{MEMORY}/{content}-{_key(file)}-{kept}.json", file, said=found.said)
        self.settled.add(_key(file))
        if kept == TAKEN:
            self.contents.add(content)

    def _facts(self, content: str, key: str, outcome: str) -> dict[str, Any]:
        written = self._folder.read(f"{MEMORY}/{content}-{key}-{outcome}.json")
        found: dict[str, Any] = json.loads(written)
        return found

    def _write(self, name: str, file: StoredFile, **facts: object) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._folder.write(name, json.dumps({**file._asdict(), **facts, "at": now}).encode())


def _complete_and_waiting(
    source: Folder, memory: _Memory
) -> tuple[list[StoredFile], list[StoredFile]]:
    """Return the files without an outcome: the complete ones, and those still being written."""
    new = _without_outcome(source, memory)
    if not new:
        return [], []
    time.sleep(PAUSE_SECONDS)
    unchanged = set(_without_outcome(source, memory))
    waiting = [
        file for file in new if file not in unchanged or is_young(file.modified_ns, SETTLED_SECONDS)
    ]
    return [file for file in new if file not in waiting], waiting


def _without_outcome(source: Folder, memory: _Memory) -> list[StoredFile]:
    files = [
        file
        for file in source.files()
        if Path(file.name).suffix.lower() in LABEL_SUFFIXES
        and not Path(file.name).name.startswith(".")
        and _key(file) not in memory.settled
    ]
    return sorted(files, key=lambda file: (file.modified_ns, file.name))


def _earlier(
    file: StoredFile, sha256: str, memory: _Memory, chain: Sequence[Mapping[str, Any]]
) -> NewFile | None:
    """Return the outcome of a file that an earlier look took or began; None if it is to be added.

    ``chain`` are the snapshots of the store, the oldest first.
    """
    if sha256 in memory.contents:
        return NewFile(file.name, REPEATED, "this content was taken before, and is not again")
    link = memory.added.get(sha256)
    if link is not None:
        said = "was added by an earlier look, whose event was lost"
        return NewFile(file.name, TAKEN, said, link["snapshot"], link["number"])
    begun = memory.begun(sha256, file)
    since = () if begun is None else chain[begun:]
    for later in since:
        if later["file"] == Path(file.name).name:
            said = "was added by a look that was cut short"
            return NewFile(file.name, TAKEN, said, later["snapshot"], later["number"])
    if since:
        said = "a look was cut short while it was added, and others added labels since: touch it"
        return NewFile(file.name, REFUSED, said)
    return None


def _add(file: StoredFile, content: bytes, add: Callable[[Path], AddReport]) -> NewFile:
    with TemporaryDirectory(prefix="emi-labels-") as folder:
        copy = Path(folder, Path(file.name).name)
        copy.write_bytes(content)
        try:
            report = add(copy)
        except LabelError as error:
            return NewFile(file.name, REFUSED, str(error).replace(f"{folder}/", ""))
    if report.snapshot is None:
        said = f"nothing new: snapshot {report.number} has all of it"
    else:
        changes = f"{report.num_added} clips added, {report.num_corrected} corrected"
        said = "; ".join([f"snapshot {report.number}: {changes}", *report.notes])
    return NewFile(file.name, TAKEN, said, report.snapshot, report.number)


def _key(file: StoredFile) -> str:
    """Return a hash that differs between any two states of a file."""
    text = json.dumps([file.name, file.size, file.modified_ns])
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_CHARS]
