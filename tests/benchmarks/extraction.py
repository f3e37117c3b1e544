"""What extraction costs: short clips decoded together against one ffmpeg a clip."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import pyarrow as pa

from emi_model.targets import EMI_TARGETS
from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import list_clips
from tasks.extraction.audio import MAX_CLIPS_TOGETHER
from tasks.extraction.headers import Prober
from tasks.extraction.rows import extract_clip
from tasks.schema.scores import COSTS, EXTRACTED
from tasks.scoring.settings import ScoringSettings
from tasks.scoring.stages.extract_stage import extract_rows
from tests.benchmarks.work import make_corpus

NUM_CLIPS = 64
REPEATS = 5
LENGTHS_TOGETHER = (2, 4, 8, MAX_CLIPS_TOGETHER)

Block = Sequence[ClipFile]
Rows = list[pa.Table]


class _Cost(NamedTuple):
    """Of one clip, milliseconds; CPU of this process, the reader of headers and ffmpeg."""

    wall: float
    cpu: float


def extraction(folder: Path, model: Path) -> Iterator[tuple[str, str]]:
    """Milliseconds a clip: header, decoding, hash, levels and row, in blocks as in a run."""
    clips = list_clips(str(make_corpus(folder / "corpus", NUM_CLIPS)))
    settings = ScoringSettings(str(model), EMI_TARGETS, 12.0, "first", "fp32")
    with Prober() as prober:

        def alone(block: Block) -> Rows:
            return [_row(clip, settings, prober) for clip in block]

        def together(block: Block) -> Rows:
            return list(extract_rows(block, settings, prober))

        assert _same(alone(clips), [row for block in _blocks(clips) for row in together(block)])
        before, now = _compare(alone, together, clips, prober)
        yield "extraction, one ffmpeg a clip", f"{before.wall:.1f} ms a clip, CPU {before.cpu:.1f}"
        yield (
            f"extraction, {MAX_CLIPS_TOGETHER} clips an ffmpeg",
            f"{now.wall:.1f} ms a clip, CPU {now.cpu:.1f}",
        )
        yield "CPU of extraction, before over now", f"{before.cpu / now.cpu:.2f}"
        for length in LENGTHS_TOGETHER[:-1]:
            cost = _median([_cost(together, clips, prober, length) for _ in range(REPEATS)])
            yield f"the same in blocks of {length}", f"{cost.wall:.1f} ms, CPU {cost.cpu:.1f}"


def _row(clip: ClipFile, settings: ScoringSettings, prober: Prober) -> pa.Table:
    row = extract_clip(
        clip,
        max_seconds=settings.max_seconds,
        timeout_seconds=settings.timeout_seconds,
        prober=prober,
    )
    return pa.Table.from_pylist([row], EXTRACTED)


def _compare(
    one: Callable[[Block], Rows], other: Callable[[Block], Rows], clips: Block, prober: Prober
) -> tuple[_Cost, _Cost]:
    """Measure both in turns, so that what else the machine does falls on both."""
    costs = [(_cost(one, clips, prober), _cost(other, clips, prober)) for _ in range(REPEATS)]
    return _median([cost for cost, _ in costs]), _median([cost for _, cost in costs])


def _cost(
    extract: Callable[[Block], Rows],
    clips: Block,
    prober: Prober,
    length: int = MAX_CLIPS_TOGETHER,
) -> _Cost:
    wall, cpu = time.perf_counter(), _cpu_seconds(prober)
    for block in _blocks(clips, length):
        extract(block)
    wall, cpu = time.perf_counter() - wall, _cpu_seconds(prober) - cpu
    return _Cost(wall / len(clips) * 1e3, cpu / len(clips) * 1e3)


def _blocks(clips: Block, length: int = MAX_CLIPS_TOGETHER) -> Iterator[Block]:
    for start in range(0, len(clips), length):
        yield clips[start : start + length]


def _cpu_seconds(prober: Prober) -> float:
    times = os.times()
    ours = times.user + times.system + times.children_user + times.children_system
    child = psutil.Process(prober.pid).cpu_times()
    return ours + child.user + child.system


def _median(costs: Sequence[_Cost]) -> _Cost:
    return _Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def _same(alone: Rows, together: Rows) -> bool:
    free = pa.concat_tables(together).drop_columns([COSTS[0].name])
    return pa.concat_tables(alone).to_pylist() == free.to_pylist()
