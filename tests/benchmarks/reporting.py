"""Seconds, bytes and peak memory of a report over a generated store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.work import EMI, MOST_CLIPS, watch
from tests.reported import write_store

NUM_CLIPS = min(1_000_000, MOST_CLIPS)
FEWER = 20_000
NUM_RUNS = 20
SECONDS_ALLOWED, BYTES_ALLOWED = 30.0, 5_000_000


def report(folder: Path, model: Path) -> Iterator[tuple[str, str]]:
    """`emi report` of generated clips, one in ten labelled, seven seconds of timeline each."""
    for num_clips in sorted({FEWER, NUM_CLIPS}):
        named = f"`emi report`, {num_clips:,} clips"
        started = time.perf_counter()
        store = write_store(folder / str(num_clips), num_clips, num_runs=NUM_RUNS)
        yield f"{named}: store generated", f"{time.perf_counter() - started:.0f} s"
        out = folder / f"{num_clips}.html"
        command = [str(EMI), "report", "--results", store.location, "--out", str(out)]
        seen = watch(command)
        size = out.stat().st_size
        allowed = seen.seconds <= SECONDS_ALLOWED and size <= BYTES_ALLOWED
        yield (
            named,
            f"{seen.seconds:.1f} s, {size / 1e6:.2f} MB, peak {seen.peak_mib} MiB, start of the "
            f"command included: {'within' if allowed else 'NOT WITHIN'} {SECONDS_ALLOWED:.0f} s "
            f"and {BYTES_ALLOWED / 1e6:.0f} MB",
        )
