"""Adding labels: a label file and a corpus become a snapshot, or a list of all that is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from emi_model.arrays import Floats
from emi_model.errors import StoreError
from emi_model.targets import column_name
from tasks.labels.label_file import ClipLabels, Problem
from tasks.labels.label_set import merged
from tasks.labels.label_values import speaker_name
from tasks.labels.offered import Offered, Reading, read_offered, speaker_notes
from tasks.labels.snapshots import (
    LabelledRow,
    Snapshot,
    new_snapshot,
    read_snapshots,
    write_snapshot,
)
from tasks.labels.splits import SPLITS, Placed, Shares, assign_splits
from tasks.schema.tables import LABELS
from tasks.storage.local import LocalFolder
from tasks.storage.locks import file_lock
from tasks.store.readers import holds_store
from tasks.store.store import ResultsStore, create_store, open_store
from tasks.threads import Progress

MAX_TRIES = 100
"""Times that others may add labels before these are; each time somebody's labels were added."""


@dataclass(frozen=True)
class AddReport:
    """What adding a label file did.

    Attributes:
        snapshot: id of the new snapshot; None if the store knew all of the file already.
        number: of the store's latest snapshot.
        num_added: clips that had no labels before.
        num_corrected: clips that had others.
        num_unchanged: clips that had the same.
        num_without_labels: clips of the corpus that have no labels in the store.
        clips_by_split: all labelled clips of the store.
        targets: as the store spells them, in the order of the values.
        notes: how the file was read, what was left out, and warnings.
    """

    snapshot: str | None
    number: int
    num_added: int
    num_corrected: int
    num_unchanged: int
    num_without_labels: int
    clips_by_split: Mapping[str, int]
    targets: tuple[str, ...]
    notes: tuple[str, ...] = ()


class _Added(NamedTuple):
    """The rows that a file added to a chain, the chain with them, the labels before by clip."""

    rows: list[LabelledRow]
    chain: list[Snapshot]
    existing: Mapping[str, LabelledRow]


def add_labels(
    location: str | Path,
    path: str | Path,
    corpus: str,
    *,
    shares: Shares | None = None,
    seed: int = 1,
    targets: Sequence[str] = (),
    ignore: Sequence[str] = (),
    scale: float = 1.0,
    speaker_from: str | None = None,
    on_progress: Progress | None = None,
) -> AddReport:
    """Add a label file to a store as a new snapshot, whole or not at all.

    Args:
        location: of a results store; made if it is absent and nothing is wrong with the file.
        path: the label file, CSV or Parquet.
        corpus: folder or manifest that holds its clips.
        shares: of the splits that are drawn; default 20 % for validation.
        seed: of the splits that are drawn.
        targets: columns that are targets; default all that are nothing else.
        ignore: columns to leave out.
        scale: the number that stands for 1 in the file.
        speaker_from: as `tasks.labels.offered.Reading` has it.
        on_progress: called with the number of clips read and their total.

    Raises:
        LabelError: something is wrong with the file; the message lists all of it by line.
        CorpusError: no such corpus.
        StoreError: the folder is no store, or a snapshot in it is damaged.
    """
    shares = shares or Shares()
    reading = Reading(targets, ignore, scale, speaker_from)
    offered = read_offered(path, corpus, reading, on_progress)
    if not holds_store(location):
        _settled(offered, [], shares, seed)  # what is refused leaves no store behind
    store = create_store(location)
    with locked_labels(store):
        added = _added(offered, store, shares, seed)
    labelled = merged(added.chain)
    num_corrected = sum(row.clip_id in added.existing for row in added.rows)
    return AddReport(
        snapshot=added.chain[-1].snapshot if added.rows else None,
        number=len(added.chain),
        num_added=len(added.rows) - num_corrected,
        num_corrected=num_corrected,
        num_unchanged=len(offered.labels) - len(added.rows),
        num_without_labels=sum(clip_id not in labelled for clip_id in offered.clip_ids),
        clips_by_split=count_splits(labelled.values()),
        targets=added.chain[-1].targets,
        notes=(
            *offered.file.notes,
            *speaker_notes(labelled[name].speaker for name in offered.labels),
        ),
    )


def describe_snapshots(location: str | Path) -> list[dict[str, Any]]:
    """Return a row a snapshot, the first first.

    Each with its number, id, parent, targets, the label file's name, the seed, the time, the rows
    that it added or corrected, and all clips labelled by then, by split.

    Raises:
        StoreError: there is no store, or a snapshot is damaged.
    """
    chain = read_snapshots(open_store(location))
    return [
        {
            "number": link.number,
            "snapshot": link.snapshot,
            "parent": link.parent,
            "num_rows": len(link.rows),
            "clips_by_split": count_splits(merged(chain[: link.number]).values()),
            "targets": list(link.targets),
            "file": link.file,
            "seed": link.seed,
            "added_at": link.added_at,
        }
        for link in chain
    ]


def count_splits(rows: Iterable[LabelledRow]) -> dict[str, int]:
    """Return how many clips each split has, also where it has none."""
    counts = Counter(row.split for row in rows)
    return {split: counts[split] for split in SPLITS}


def _added(offered: Offered, store: ResultsStore, shares: Shares, seed: int) -> _Added:
    """Add what is new in a file to the chain; in a bucket another process may be first.

    Raises:
        LabelError: there is any problem.
        StoreError: other processes were first each time.
    """
    for _ in range(MAX_TRIES):
        chain = read_snapshots(store)
        rows, targets = _settled(offered, chain, shares, seed)
        existing = merged(chain)
        changed = [
            row
            for row in rows
            if row.clip_id not in existing or row.content() != existing[row.clip_id].content()
        ]
        if not changed:
            return _Added(changed, chain, existing)
        name = Path(offered.file.path).name
        chain.append(new_snapshot(changed, targets, chain, file=name, seed=seed))
        if write_snapshot(store, chain[-1]):
            return _Added(changed, chain, existing)
    raise StoreError(f"{store.location}: others add labels all the time: try again later")


def _settled(
    offered: Offered, chain: Sequence[Snapshot], shares: Shares, seed: int
) -> tuple[list[LabelledRow], tuple[str, ...]]:
    """Return the rows as they would be kept, and the targets in their order.

    Raises:
        LabelError: there is any problem.
    """
    existing = merged(chain)
    targets = chain[-1].targets if chain else offered.file.targets
    speakers = {
        clip_id: labels.speaker or (existing[clip_id].speaker if clip_id in existing else "")
        for clip_id, labels in offered.labels.items()
    }
    new = [
        Placed(clip_id, speakers[clip_id], offered.contents[clip_id], labels.split, labels.line)
        for clip_id, labels in offered.labels.items()
    ]
    splits, clashes = assign_splits(new, list(_placed(chain, offered.labels)), shares, seed)
    problems = [*offered.problems, *(Problem(*clash) for clash in clashes)]
    order = _order(offered.file.targets, targets)
    if order is None:
        problems.append(Problem(1, _other_targets(offered.file.targets, targets)))
    if problems or order is None:
        raise offered.file.error(problems)
    rows = [
        LabelledRow(
            clip_id=clip_id,
            content_sha256=offered.contents[clip_id] or "",
            emi=labels.emi[order],
            vad=_vad(labels, existing.get(clip_id)),
            speaker=speakers[clip_id],
            split=splits[clip_id],
            num_raters=_raters(labels, existing.get(clip_id)),
        )
        for clip_id, labels in offered.labels.items()
    ]
    return rows, targets


def _vad(labels: ClipLabels, existing: LabelledRow | None) -> Floats | None:
    """Return the file's VAD; a file without these columns keeps the existing one."""
    return labels.vad if labels.vad is not None or existing is None else existing.vad


def _raters(labels: ClipLabels, existing: LabelledRow | None) -> float | None:
    """Return the file's number of raters; a file that does not say keeps the existing one."""
    known = labels.num_raters
    return known if known is not None or existing is None else existing.num_raters


def _placed(chain: Sequence[Snapshot], offered: Mapping[str, ClipLabels]) -> Iterator[Placed]:
    """Yield the contents and speakers whose splits earlier snapshots fixed.

    A content keeps its split for ever: a model may have been trained on it. A speaker keeps it
    unless a later row corrects the name.
    """
    latest = merged(chain)
    for snapshot in chain:
        for row in snapshot.rows:
            counts = row is latest[row.clip_id] and row.clip_id not in offered
            speaker = speaker_name(row.speaker) if counts else ""
            yield Placed(row.clip_id, speaker, row.content_sha256, row.split)


def _order(found: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Return where each wanted target stands in what was found; None if they are not the same."""
    columns = [column_name(target) for target in found]
    names = [column_name(target) for target in wanted]
    return [columns.index(name) for name in names] if sorted(columns) == sorted(names) else None


def _other_targets(found: Sequence[str], wanted: Sequence[str]) -> str:
    return (
        f"the targets are {', '.join(found)}, the store's are {', '.join(wanted)}: name those with "
        "--target, or choose another store"
    )


@contextmanager
def locked_labels(store: ResultsStore) -> Iterator[None]:
    """Lock the chain; another process that adds labels waits, shortly: nothing slow is done here.

    A bucket has no lock: there the process that creates the snapshot's name first has added it.
    """
    if not isinstance(store.folder, LocalFolder):
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(store.folder.root / LABELS / ".lock"))
        except OSError as error:
            raise StoreError(f"{store.location}: cannot be locked ({error})") from error
        yield
