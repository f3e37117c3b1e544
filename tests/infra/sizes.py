"""Measures what a clip costs a results store, on disk and in memory: python -m tests.infra.sizes

Rows with random values under the store's own schemas, as many as of 50,000 and of 200,000 clips;
the slope between the two is what one more clip costs. infra/docs/capacity.md rests on it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from emi_model.targets import EMI_TARGETS
from tasks.corpus.clips import ClipFile
from tasks.corpus.done import done_clips, plan_clips
from tasks.schema.scores import scores_schema, timeline_schema, windows_schema
from tasks.schema.tables import SCORES, TIMELINE, WINDOWS
from tasks.store.compaction import compact
from tasks.store.store import create_store

NUMBERS = (50_000, 200_000)
PARTS = 20
MEAN_SECONDS = 7.0
MODEL = hashlib.sha256(b"model").hexdigest()
COVERAGE = "first"
CONSTANT = {
    "model": "emi/3",
    "model_sha256": MODEL,
    "coverage": COVERAGE,
    "run_id": "20261121T023015Z-a1b2c3",
    "status": "scored",
    "codec": "aac",
    "backbone_licence": "CC-BY-NC-SA-4.0",
}


def clip_id(index: int) -> str:
    return f"site{index % 37:02d}/2026-{index % 12 + 1:02d}/{index // 97:06d}/clip{index:09d}.mp4"


def rows(schema: pa.Schema, ids: np.ndarray, seconds: np.ndarray, seed: int) -> pa.Table:
    """Random rows of these clips; ``seconds`` counts within a clip."""
    drawn = np.random.default_rng(seed)
    count = len(ids)

    def column(field: pa.Field) -> pa.Array:
        if field.name == "clip_id":
            return pa.array([clip_id(index) for index in ids])
        if field.name == "uri":
            return pa.array([f"file:///data/corpus/{clip_id(index)}" for index in ids])
        if field.name == "content_sha256":
            return pa.array([hashlib.sha256(b"%d" % index).hexdigest() for index in ids])
        if field.name in ("second", "window_index"):
            return pa.array(seconds).cast(field.type)
        if field.name == "scored_at":
            return pa.array(np.full(count, 1_790_000_000_000_000)).cast(field.type)
        if field.name in CONSTANT:
            return pa.array([CONSTANT[field.name]] * count, field.type)
        if pa.types.is_floating(field.type):
            return pa.array(drawn.random(count, dtype=np.float32)).cast(field.type)
        if pa.types.is_integer(field.type):
            most = 2 if field.name in ("channels", "track", "num_tracks") else 600
            large = {"bytes": 4_000_000, "modified_ns": 3 * 10**16}.get(field.name, most)
            return pa.array(drawn.integers(1, large, count)).cast(field.type)
        return pa.nulls(count, field.type)

    return pa.table([column(field) for field in schema], schema=schema)


def make(store_folder: Path, number: int) -> None:
    """Commit a store of so many clips in `PARTS` parts."""
    lengths = np.random.default_rng(0).gamma(4, MEAN_SECONDS / 4, number).clip(0.5, 12)
    store = create_store(str(store_folder))
    with store.lock():
        for part, ids in enumerate(np.array_split(np.arange(number), PARTS)):
            per_clip = np.ceil(lengths[ids]).astype(int)
            second = np.concatenate([np.arange(count) for count in per_clip])
            store.commit(
                f"part-{part:05d}",
                {
                    SCORES: rows(scores_schema(EMI_TARGETS), ids, ids, part),
                    TIMELINE: rows(timeline_schema(), np.repeat(ids, per_clip), second, part),
                    WINDOWS: windows_schema(EMI_TARGETS).empty_table(),
                },
            )


def peak_mib(work: Callable[[], object]) -> tuple[float, float]:
    """Return how much more memory a piece of work takes at its most, MiB, and its seconds."""
    this, most, done = psutil.Process(), [0], threading.Event()
    before = this.memory_info().rss

    def look() -> None:
        while not done.wait(0.01):
            most[0] = max(most[0], this.memory_info().rss)

    watching = threading.Thread(target=look)
    watching.start()
    started = time.perf_counter()
    kept = work()
    seconds = time.perf_counter() - started
    done.set()
    watching.join()
    del kept
    return (max(most[0], this.memory_info().rss) - before) / 2**20, seconds


def measured(what: str, folder: Path, number: int) -> None:
    """One measurement, in a process of its own; writes MiB and seconds."""
    store = create_store(str(folder))

    def plan() -> object:
        clips = [
            ClipFile(clip_id(index), os.fsencode(f"/data/corpus/{clip_id(index)}"), index, index)
            for index in range(number)
        ]
        return clips, plan_clips(clips, {})

    def merge() -> object:
        with store.lock():
            return compact(store, "merged")

    works = {"plan": plan, "done": lambda: done_clips(store, MODEL, COVERAGE), "compact": merge}
    mib, seconds = peak_mib(works[what])
    sys.stdout.write(f"{mib} {seconds}\n")


def main() -> None:
    """Measure at both sizes and write the slopes."""
    names = ("listing and planning", "rows that are there", "compaction")
    figures: dict[str, list[tuple[float, float]]] = {"plan": [], "done": [], "compact": []}
    with tempfile.TemporaryDirectory(prefix="emi-sizes-") as temporary:
        for number in NUMBERS:
            folder = Path(temporary, str(number))
            make(folder, number)
            for what, found in figures.items():
                command = [
                    sys.executable,
                    "-m",
                    "tests.infra.sizes",
                    what,
                    str(folder),
                    str(number),
                ]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                mib, seconds = map(float, said.split())
                found.append((mib, seconds))
        (merged,) = folder.glob(f"{SCORES}/merged.parquet")
        (timeline,) = folder.glob(f"{TIMELINE}/merged.parquet")
        per_clip = [path.stat().st_size / NUMBERS[-1] for path in (merged, timeline)]
    sys.stdout.write(
        f"scores {per_clip[0]:.0f} bytes a clip, timeline {per_clip[1]:.0f} "
        f"({per_clip[1] / MEAN_SECONDS:.0f} a second of audio)\n"
    )
    for name, ((few, _), (many, seconds)) in zip(names, figures.values(), strict=True):
        slope = (many - few) * 2**20 / (NUMBERS[1] - NUMBERS[0])
        sys.stdout.write(f"{name}: {slope:.0f} bytes a clip, {seconds / NUMBERS[1] * 1e6:.0f} us\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measured(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
