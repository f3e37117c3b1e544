"""Verifies a store: reads every part whole, names the clips of damaged ones, sets those aside.

A part that was set aside lies in ``STORE/damaged/``. Its clips have no row then, so the next run
over their corpus scores them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.schema.tables import COMPANIONS, SCORES, TABLES, TRANSCRIPTS
from tasks.store.damage import damaged_parts
from tasks.store.paths import Part, file_name
from tasks.store.query import answer
from tasks.store.readers import reread
from tasks.store.store import ResultsStore

ASIDE = "damaged"
"""Folder of a store for what was set aside."""

OF_CLIPS = (SCORES, *COMPANIONS)

_RUNS = """
SELECT DISTINCT source, coverage, model, model_sha256, run_id FROM runs
WHERE made IS DISTINCT FROM 'transcripts'
ORDER BY ALL
"""


class Finding(NamedTuple):
    """A damaged part.

    Attributes:
        part: which.
        why: in a line.
        clip_ids: of its clips, sorted; None if they cannot be read, or if it holds none.
    """

    part: Part
    why: str
    clip_ids: tuple[str, ...] | None

    @property
    def is_of_clips(self) -> bool:
        """Whether scoring its clips again makes up for it."""
        return self.part.table in OF_CLIPS

    @property
    def is_of_transcripts(self) -> bool:
        """Whether transcribing its clips again makes up for it."""
        return self.part.table == TRANSCRIPTS


class Scored(NamedTuple):
    """What a run scored: its corpus, coverage, and model by name and hash."""

    source: str
    coverage: str
    model: str
    model_sha256: str


def verify(store: ResultsStore) -> list[Finding]:
    """Read every part of a store whole; return the damaged ones, by table and name.

    Raises:
        StoreError: a part may not be read, or the bucket does not answer.
    """

    def look() -> list[Finding]:
        parts = [part for table in TABLES for part in store.parts(table)]
        damaged = damaged_parts(store.folder, parts, whole=True)
        return [Finding(*damage, _clip_ids(store, damage.part)) for damage in damaged]

    with store.storage_errors():
        return reread(look)


def set_aside(store: ResultsStore, findings: Iterable[Finding]) -> list[str]:
    """Move damaged parts of clips out of the tables, with the parts that belong to them.

    Args:
        store: locked by this process.
        findings: what `verify` returned; parts of other tables stay.

    Returns:
        Names of the parts, sorted.
    """
    found = list(findings)
    names = sorted({finding.part.name for finding in found if finding.is_of_clips})
    heard = sorted({finding.part.name for finding in found if finding.is_of_transcripts})
    # scores first: without them nothing of the others is shown
    files = [(table, name) for name in names for table in OF_CLIPS]
    with store.storage_errors():
        for table, name in [*files, *((TRANSCRIPTS, name) for name in heard)]:
            file = file_name(table, name)
            with suppress(FileNotFoundError):
                store.folder.write(f"{ASIDE}/{table}-{name}", store.folder.read(file))
                store.folder.remove(file)
    return sorted({*names, *heard})


def scored_by(store: ResultsStore, names: Sequence[str]) -> list[Scored]:
    """Return what the runs scored that wrote some parts, or whose parts were merged into them."""
    runs = answer(store.location, _RUNS).to_pylist()
    of_these = [row for row in runs if any(name.startswith(row["run_id"]) for name in names)]
    merged = any("-compact-" in name for name in names)
    chosen = runs if merged or not of_these else of_these
    return sorted({Scored(*(row[field] for field in Scored._fields)) for row in chosen})


def _clip_ids(store: ResultsStore, part: Part) -> tuple[str, ...] | None:
    """Return whose rows a part holds: as it says, or the parts of the same name beside it."""
    if part.table not in (*OF_CLIPS, TRANSCRIPTS):
        return None
    for table in (part.table, *(OF_CLIPS if part.table != TRANSCRIPTS else ())):
        with suppress(OSError, ValueError, pa.ArrowException):
            content = pa.BufferReader(store.folder.read(file_name(table, part.name)))
            rows = pq.read_table(content, columns=["clip_id"])
            return tuple(sorted(set(rows["clip_id"].to_pylist())))
    return None
