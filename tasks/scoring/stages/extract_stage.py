"""The extraction stage in a Ray worker. Light to import: decoders must not load PyTorch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pyarrow as pa

from tasks.corpus.clips import ClipFile
from tasks.extraction.headers import Prober
from tasks.extraction.prefetch import local_groups
from tasks.extraction.rows import extract_group
from tasks.schema.scores import COSTS, EXTRACTED
from tasks.scoring.stages.ledger import EXTRACT, holding, this_worker
from tasks.scoring.stages.stage import ExtractionSettings

NICENESS = 10
"""Scorers have priority: decoders use the cores that scorers leave."""

_ROW = pa.schema([*EXTRACTED, COSTS[0]])


def extract_block(
    block: pa.Table, *, settings: ExtractionSettings, ledger: Any
) -> Iterator[pa.Table]:
    """Extract a block of listed clips; yield extracted rows one by one."""
    prober = _worker_prober()
    clips = [ClipFile(**row) for row in block.to_pylist()]
    with holding(ledger, this_worker(EXTRACT, ledger), [clip.clip_id for clip in clips]):
        yield from extract_rows(clips, settings, prober)


def extract_rows(
    clips: Sequence[ClipFile], settings: ExtractionSettings, prober: Prober
) -> Iterator[pa.Table]:
    """Yield the extracted rows of clips, short ones decoded together, each with its seconds.

    The first row of a group includes the time spent on the whole group: a run adds them up.

    Raises:
        CorpusError: a storage does not answer, or this node has no disk space to fetch to.
        MediaToolError: there is no usable ffmpeg.
    """
    started = time.perf_counter()
    for group in local_groups(clips):
        rows = extract_group(
            group,
            max_seconds=settings.max_seconds,
            timeout_seconds=settings.timeout_seconds,
            prober=prober,
            needs=settings.needs,
            options=settings.options,
        )
        for row in rows:
            row[COSTS[0].name] = time.perf_counter() - started
            yield pa.Table.from_pylist([row], _ROW)
            started = time.perf_counter()


@cache
def _worker_prober() -> Prober:
    """Return this worker process's prober; its first use also makes the worker nice."""
    os.nice(NICENESS)
    return Prober()
