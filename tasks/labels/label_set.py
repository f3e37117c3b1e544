"""Labels as training and evaluation use them: the snapshots of a store, merged."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emi_model.errors import LabelError
from tasks.labels.snapshots import LabelledRow, Snapshot, read_snapshots
from tasks.store.store import open_store

__all__ = ["LabelSet", "LabelledRow", "load_labels", "merged"]

SHORTEST_PREFIX = 4


@dataclass(frozen=True, eq=False)
class LabelSet:
    """Every labelled clip as of one snapshot.

    Attributes:
        snapshot: id of the snapshot, SHA-256 in hex.
        number: its place in the chain, from 1.
        targets: as spelled, in the order of the values.
        clips: sorted by clip id.
    """

    snapshot: str
    number: int
    targets: tuple[str, ...]
    clips: tuple[LabelledRow, ...]

    @property
    def split_sha256(self) -> str:
        """Hash of which content is in which split, hex; it travels with every metric."""
        pairs = sorted((clip.content_sha256, clip.split) for clip in self.clips)
        return hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()

    def of_split(self, name: str) -> tuple[LabelledRow, ...]:
        """Return the clips of a split, sorted by clip id."""
        return tuple(clip for clip in self.clips if clip.split == name)


def load_labels(location: str | Path, snapshot: str | None = None) -> LabelSet:
    """Return the labels of a store as of a snapshot; what is read is verified by its hash.

    Args:
        location: of a results store.
        snapshot: its number, or an id or the first characters of one; None for the latest.

    Raises:
        LabelError: the store has no labels, or no such snapshot.
        StoreError: there is no store, or a snapshot is damaged.
    """
    chain = read_snapshots(open_store(location))
    if not chain:
        raise LabelError(
            f"{location}: no labels here: `emi labels add FILE --corpus DIR --store "
            f"{shlex.quote(str(location))}`"
        )
    last = len(chain) if snapshot is None else _place(str(location), chain, snapshot)
    head = chain[last - 1]
    rows = merged(chain[:last]).values()
    clips = tuple(sorted(rows, key=lambda row: row.clip_id))
    return LabelSet(head.snapshot, head.number, head.targets, clips)


def merged(chain: Iterable[Snapshot]) -> dict[str, LabelledRow]:
    """Return the latest row of every clip by clip id."""
    return {row.clip_id: row for snapshot in chain for row in snapshot.rows}


def _place(location: str, chain: Sequence[Snapshot], wanted: str) -> int:
    found = {link.number for link in chain if wanted == str(link.number)} or {
        link.number
        for link in chain
        if link.snapshot.startswith(wanted.lower()) and len(wanted) >= SHORTEST_PREFIX
    }
    if len(found) != 1:
        raise LabelError(
            f"{location}: {len(found)} label snapshots called {wanted!r}, expected a number from "
            f"1 to {len(chain)}, or the beginning of one id (`emi labels list`)"
        )
    return found.pop()
