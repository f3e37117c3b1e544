"""The run record: a run's parameters, results and costs, one row in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa

from emi_model.errors import StoreError
from tasks.provenance import package_versions, source_commit
from tasks.schema.fields import checked
from tasks.schema.runs import RUNS_SCHEMA
from tasks.schema.tables import RUNS, SCORES
from tasks.scoring.commit import RunStamp, Tally
from tasks.store.store import DamagedPart, ResultsStore

_MAPS = [field.name for field in RUNS_SCHEMA if pa.types.is_map(field.type)]


class RunState(StrEnum):
    """The state of a run."""

    RUNNING = "running"
    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    KILLED = "killed"


@dataclass(frozen=True)
class RunRecord:
    """One run; counts in clips, times in seconds.

    Attributes:
        stamp: model, coverage and id.
        source: corpus that was listed.
        precision: numerics requested.
        started_at: UTC.
        state: its state.
        num_listed: clips in the source.
        num_skipped: clips that were done before.
        passed_over: what else the source holds, by kind.
        num_adopted: rows copied from clips of equal content.
        list_seconds: listing and planning.
        message: why a run did not complete.
        made: the table of which every clip gets a row.
    """

    stamp: RunStamp
    source: str
    precision: str
    started_at: datetime
    state: RunState = RunState.RUNNING
    num_listed: int = 0
    num_skipped: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict)
    num_adopted: int = 0
    list_seconds: float = 0.0
    message: str | None = None
    made: str = SCORES

    def row(self, tally: Tally) -> dict[str, Any]:
        """Return the row of the runs table."""
        now = datetime.now(UTC)
        wall = (now - self.started_at).total_seconds()
        return {
            "run_id": self.stamp.run_id,
            "state": self.state.value,
            "made": self.made,
            "source": self.source,
            "model": self.stamp.model,
            "model_sha256": self.stamp.model_sha256,
            "coverage": self.stamp.coverage,
            "precision": self.precision,
            "started_at": self.started_at,
            "finished_at": None if self.state == RunState.RUNNING else now,
            "num_listed": self.num_listed,
            "num_scored": tally.scored,
            "num_rejected": tally.rejected,
            "num_skipped": self.num_skipped,
            "passed_over": sorted(self.passed_over.items()),
            "num_adopted": self.num_adopted,
            "reasons": sorted(tally.reasons.items()),
            "flags": sorted(tally.flags.items()),
            "nodes": sorted(tally.nodes.items()),
            "numerics": sorted(tally.numerics.items()),
            "list_seconds": self.list_seconds,
            "extract_seconds": tally.extract_seconds,
            "transcribe_seconds": tally.transcribe_seconds,
            "score_seconds": tally.score_seconds,
            "commit_seconds": tally.commit_seconds,
            "wall_seconds": wall,
            "audio_seconds": tally.audio_seconds,
            "audio_hours_per_hour": tally.audio_seconds / wall if wall else 0.0,
            "padding_share": tally.padding_share,
            "versions": sorted(package_versions().items()),
            "commit": source_commit(),
            "message": self.message,
        }

    def check_counts(self, tally: Tally) -> None:
        """Check that no clip disappeared: listed = scored + rejected + skipped.

        Raises:
            StoreError: the counts do not add up.
        """
        if self.num_listed != tally.done + self.num_skipped:
            raise StoreError(
                f"listed {self.num_listed} clips, but scored {tally.scored}, rejected "
                f"{tally.rejected} and skipped {self.num_skipped}: please report this"
            )


def write_record(store: ResultsStore, record: RunRecord, tally: Tally) -> dict[str, Any]:
    """Write a run's record to the store, in place of an earlier one; return its row."""
    row = record.row(tally)
    store.record_run(checked(pa.Table.from_pylist([row], RUNS_SCHEMA), RUNS_SCHEMA))
    return row | {name: dict(row[name]) for name in _MAPS}


def mark_killed(store: ResultsStore) -> bool:
    """Mark runs whose process ended without recording it; the caller holds the store's lock.

    Returns:
        Whether there were any.
    """
    found = False
    records = {part.name: part for part in store.parts(RUNS)}
    for run_id in store.silent_runs():
        if run_id in records:  # else it was killed before its first record
            try:
                (row,) = store.read(records[run_id]).to_pylist()
            except DamagedPart:  # `emi verify` names it
                continue
            if row["state"] == RunState.RUNNING.value:
                found = True
                killed = row | {"state": RunState.KILLED.value}
                store.record_run(checked(pa.Table.from_pylist([killed], RUNS_SCHEMA), RUNS_SCHEMA))
        store.forget(run_id)
    return found


def ended(record: RunRecord, state: RunState, message: str | None = None) -> RunRecord:
    """Return the record of a run that has ended."""
    return replace(record, state=state, message=message)
