"""Turns the workers' rows into tables of the store and commits them as parts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tasks.schema.attributions import check_sums
from tasks.schema.fields import checked
from tasks.schema.outcomes import Status
from tasks.schema.registers import TABLE_SCHEMAS
from tasks.schema.scores import (
    COSTS,
    NODE,
    NUMERICS,
    attributions_schema,
    scores_schema,
    timeline_schema,
    windows_schema,
)
from tasks.schema.tables import ATTRIBUTIONS, SCORES, TIMELINE, WINDOWS
from tasks.store.queries.latest import LATEST_FIRST
from tasks.store.store import ResultsStore

_SECONDS = ("scored_seconds", "duration_seconds")
"""Columns of the seconds that a row is about: those scored, else all."""

COMMIT_SECONDS = 15.0
"""Rows wait no longer than this for their commit; a kill -9 costs this much work at most."""


class Clock:
    """Gives the time of a run's rows: after those that they may replace, whatever the machine says.

    Of a clip's rows the latest counts. A clock that was ahead and has been set right, or that of
    another machine, would let a new row lose against the one that it is to replace.
    """

    def __init__(self) -> None:
        """Go by the machine's clock."""
        self._after = datetime.min.replace(tzinfo=UTC)

    def begin_after(self, moment: datetime | None) -> None:
        """Give later times than this from now on."""
        if moment is not None:
            self._after = moment + timedelta(microseconds=1)

    def now(self) -> datetime:
        """Return the time, UTC."""
        return max(datetime.now(UTC), self._after)


@dataclass(frozen=True)
class RunStamp:
    """The values that all rows of one run share.

    Attributes:
        model: name of the model.
        model_sha256: hash of its config and weights.
        coverage: ``first`` or ``full``.
        run_id: the run.
        backbone_licence: licence of the weights that the model was made from.
        targets: the model's targets, in order.
        asr_key: hash of the ASR model and settings, for a model that reads text.
        why: what the scores are attributed to, see `tasks.scoring.settings.Why`.
        training_splits: split of each content of its training, by the content's hash.
        clock: of the times of the rows.
    """

    model: str
    model_sha256: str
    coverage: str
    run_id: str
    backbone_licence: str
    targets: tuple[str, ...]
    asr_key: str | None = None
    why: str | None = None
    training_splits: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    clock: Clock = field(default_factory=Clock, compare=False, repr=False)


@dataclass
class Tally:
    """Totals of a run's commits so far; audio in seconds, work in seconds summed over workers."""

    scored: int = 0
    rejected: int = 0
    audio_seconds: float = 0.0
    extract_seconds: float = 0.0
    transcribe_seconds: float = 0.0
    score_seconds: float = 0.0
    commit_seconds: float = 0.0
    model_samples: int = 0
    padded_samples: int = 0
    num_parts: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    nodes: Counter[str] = field(default_factory=Counter)
    numerics: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """Rows, scored or rejected."""
        return self.scored + self.rejected

    @property
    def padding_share(self) -> float:
        """Share of padding in the model's input, [0, 1)."""
        return 1 - self.model_samples / self.padded_samples if self.padded_samples else 0.0

    def add(self, rows: pa.Table) -> None:
        """Count the rows of one part."""
        rejected = pc.sum(pc.equal(rows["status"], Status.REJECTED.value), min_count=0).as_py()
        self.rejected += rejected
        self.scored += rows.num_rows - rejected
        self.reasons.update(rows["reason"].drop_null().to_pylist())
        self.flags.update(pc.list_flatten(rows["flags"]).to_pylist())
        for name, counter in ((NODE.name, self.nodes), (NUMERICS.name, self.numerics)):
            if name in rows.schema.names:
                counter.update(rows[name].drop_null().to_pylist())
        seconds = next(name for name in _SECONDS if name in rows.schema.names)
        self.audio_seconds += pc.sum(rows[seconds], min_count=0).as_py()
        for name in (*(cost.name for cost in COSTS), "transcribe_seconds"):
            if name in rows.schema.names:
                setattr(self, name, getattr(self, name) + pc.sum(rows[name], min_count=0).as_py())


Divided = Callable[[pa.Table], Mapping[str, pa.Table]]


class Committer:
    """Collects rows and commits them as parts: the first at once, then every `COMMIT_SECONDS`.

    A context manager; on exit it commits all rows that were added, also after an error.
    """

    def __init__(
        self, store: ResultsStore, stamp: RunStamp, tally: Tally, divided: Divided | None = None
    ) -> None:
        """Commit to a store that this process has locked.

        Args:
            store: the store.
            stamp: of the run.
            tally: its totals, which are counted up.
            divided: returns the tables of a part, from rows as workers give them; default: scores
                and their companions.
        """
        self._store = store
        self._tables_of = divided or (lambda rows: tables_of(rows, stamp))
        self._stamp = stamp
        self._tally = tally
        self._waiting: list[pa.Table] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._failure: Exception | None = None
        self._timer = threading.Thread(target=self._commit_regularly, daemon=True)

    def __enter__(self) -> Committer:
        """Start the thread that commits regularly."""
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit the rest."""
        self._closing.set()
        self._timer.join()
        self.flush()
        if self._failure is not None and error is None:
            raise self._failure

    def add(self, rows: pa.Table) -> None:
        """Add rows as workers give them.

        Raises:
            StoreError: an earlier commit failed.
        """
        if self._failure is not None:
            raise self._failure
        with self._lock:
            self._waiting.append(rows)
        if not self._tally.num_parts:
            self.flush()

    def flush(self) -> None:
        """Commit the rows that wait."""
        with self._lock:
            if not self._waiting:
                return
            started = time.perf_counter()
            rows = pa.concat_tables(self._waiting)
            name = f"{self._stamp.run_id}-{self._tally.num_parts:05d}"
            self._tally.num_parts += 1  # a name is used once, even if the commit fails
            self._store.commit(name, self._tables_of(rows))
            self._waiting.clear()
            self._tally.add(rows)
            self._tally.commit_seconds += time.perf_counter() - started

    def _commit_regularly(self) -> None:
        while not self._closing.wait(COMMIT_SECONDS):
            try:
                self.flush()
            except Exception as failure:  # noqa: BLE001 - raised again in the run's thread
                self._failure = failure
                return


def recounted(tally: Tally, store: ResultsStore, run_id: str, table: str = SCORES) -> set[str]:
    """Count a run's rows again, as they are in the store; return the ids of their clips.

    A commit to a bucket may have succeeded although it raised: the response was lost.
    """
    schema = TABLE_SCHEMAS[table]
    seconds = next(name for name in _SECONDS if name in schema.names)
    columns = ["clip_id", "status", "reason", "flags", seconds]
    rows = store.rows(table, schema, ds.field("run_id") == run_id, columns)
    numbered = rows.append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    firsts = numbered.group_by("clip_id").aggregate([("row", "min")])
    tally.scored = tally.rejected = 0
    tally.audio_seconds = 0.0
    tally.reasons.clear()
    tally.flags.clear()
    tally.add(rows.take(firsts["row_min"]))
    return set(firsts["clip_id"].to_pylist())


def newest_row(store: ResultsStore, tables: Iterable[str]) -> datetime | None:
    """Return when the newest row of some leading tables was made; None if there is none.

    Args:
        store: the store.
        tables: of scores or transcripts.
    """
    found: list[datetime | None] = []
    for table in tables:
        column = LATEST_FIRST[table].partition(" ")[0]
        rows = store.rows(table, TABLE_SCHEMAS[table], ds.scalar(True), [column])
        found.append(pc.max(rows[column]).as_py())
    return max(filter(None, found), default=None)


def tables_of(rows: pa.Table, stamp: RunStamp) -> dict[str, pa.Table]:
    """Return the tables of one part: scores, and the seconds, windows and so on in its rows.

    Raises:
        StoreError: a row does not fit the schema, or contributions do not add up to their score.
    """
    scores = scores_schema(stamp.targets)
    columns = [name for name in scores.names if name in rows.schema.names]
    splits = map(stamp.training_splits.get, rows["content_sha256"].to_pylist())
    plain = rows.select(columns).append_column("training_split", pa.array(splits, pa.string()))
    attributions = _exploded(rows, "attributions")
    check_sums(attributions)
    return {
        SCORES: _stamped(plain, scores, stamp),
        TIMELINE: _stamped(_exploded(rows, "timeline"), timeline_schema(), stamp),
        WINDOWS: _stamped(_exploded(rows, "windows"), windows_schema(stamp.targets), stamp),
        ATTRIBUTIONS: _stamped(attributions, attributions_schema(), stamp),
    }


def _exploded(rows: pa.Table, name: str) -> pa.Table:
    """Return a table of the items of a list column, each with its clip's id."""
    nested = rows[name].combine_chunks()
    parents = rows["clip_id"].take(pc.list_parent_indices(nested))
    items = pc.list_flatten(nested)
    fields = [item.name for item in items.type]
    return pa.table([parents, *items.flatten()], names=["clip_id", *fields])


def _stamped(table: pa.Table, schema: pa.Schema, stamp: RunStamp) -> pa.Table:
    now = stamp.clock.now()
    for name in schema.names:
        if name not in table.schema.names:
            constant = now if name == "scored_at" else getattr(stamp, name)
            value = pa.scalar(constant, schema.field(name).type)
            table = table.append_column(name, pa.repeat(value, table.num_rows))
    return checked(table.select(schema.names), schema)
