"""kill -9 at 20 random moments of a compaction: is the table right, before and after the rerun?"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from flows.cli.main import cli
from tasks.store import compaction
from tasks.store.query import Ask, ask_together
from tasks.store.store import ResultsStore
from tests.benchmarks.kills import ENDED_BEFORE, seconds_of_work
from tests.benchmarks.store_scale import NUM_RUNS, make_store, run_of_a_night, size_of

Row = tuple[str, str]

KILLS, KILLED_ROWS, MERGED_BYTES = 20, 200_000, 3 * 2**20
VIEWS = ("all_scores", "all_timeline", "all_attributions", "all_transcripts")


def store_kills(folder: Path, _model: Path) -> Iterator[Row]:
    """kill -9 at twenty random moments of a compaction: the same table each time?"""
    made = make_store(folder / "results", KILLED_ROWS)
    before = _digests(made)
    yield "rows, parts", f"{KILLED_ROWS:,}, {size_of(made)}"
    working = _seconds_of_work(made, None)
    assert working is not None
    yield "compacted", f"in {working:.1f} s, the same table: {_digests(made) == before}"
    drawn, moments, same, nights = random.Random(0), [], 0, 0
    while len(moments) < KILLS:
        run_of_a_night(made, NUM_RUNS + nights, 20, 0)  # there is something to merge
        nights += 1
        before = _digests(made)
        while len(moments) < KILLS:
            lasted = _seconds_of_work(made, drawn.uniform(0, working))
            if lasted is None:
                working *= ENDED_BEFORE
                break
            moments.append(f"{lasted:.1f}")
            same += _digests(made) == before
        if len(moments) < KILLS and _digests(made) != before:
            yield "a compaction that was left to end", "ANOTHER TABLE"
    yield f"killed {len(moments)} times", f"after {', '.join(moments)} s of work"
    yield "the same table right after it", f"{same} of {KILLS}"
    _seconds_of_work(made, None)
    yield "and once it was left to end", f"{_digests(made) == before}, {size_of(made)}"


def _seconds_of_work(made: ResultsStore, kill_after: float | None) -> float | None:
    staging = Path(made.location) / ".staging"
    return seconds_of_work(
        compact_into_several,
        made.location,
        begun=lambda: any(staging.glob("scratch-*")),
        kill_after=kill_after,
    )


def _digests(made: ResultsStore) -> str:
    """Return what changes if any row of the views does."""
    sql = "SELECT count(*) AS n, sum(hash(v)::HUGEINT) AS h FROM {} AS v"

    def work(ask: Ask) -> str:
        return json.dumps([ask(sql.format(view), {}).to_pylist() for view in VIEWS], default=str)

    return ask_together(made.location, VIEWS, work)


def compact_into_several(location: str) -> None:
    """Do what `emi compact` does, into several merged parts."""
    compaction.PART_BYTES = MERGED_BYTES
    compaction.SMALL_PART_BYTES = MERGED_BYTES // 3
    cli.main(["compact", "--results", location], standalone_mode=False)
