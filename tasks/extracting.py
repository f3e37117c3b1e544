"""The extraction stage in a Ray worker. Light to import: a decoder must not carry PyTorch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import pyarrow as pa
import ray

from tasks.ahead import at_hand
from tasks.clips import ClipFile, extract_local
from tasks.ledger import EXTRACT, this_worker
from tasks.probe import Prober
from tasks.schemas import COSTS, EXTRACTED
from tasks.settings import ScoringSettings

NICENESS = 10
"""Decoders take the cores that the scorers leave."""


def extract_block(block: pa.Table, *, settings: ScoringSettings, ledger: Any) -> Iterator[pa.Table]:
    """Extract a block of listed clips; yields extracted rows one by one."""
    prober = _worker_prober()
    clips = [ClipFile(**row) for row in block.to_pylist()]
    worker = this_worker(EXTRACT)
    ray.get(ledger.take.remote(worker, [clip.clip_id for clip in clips]))
    started = time.perf_counter()
    for clip, local in at_hand(clips):
        row = extract_local(
            clip,
            local,
            max_seconds=settings.max_seconds,
            timeout_seconds=settings.timeout_seconds,
            prober=prober,
        )
        row[COSTS[0].name] = time.perf_counter() - started
        yield pa.Table.from_pylist([row], pa.schema([*EXTRACTED, COSTS[0]]))
        started = time.perf_counter()
    ray.get(ledger.give.remote(worker))


@cache
def _worker_prober() -> Prober:
    """Return this worker process's prober; its first use also makes the worker nice."""
    os.nice(NICENESS)
    return Prober()
