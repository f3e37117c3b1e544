"""One pass of clips through the stages in this process: a few clips are scored before Ray is up.

One thread decodes, in child processes as ever, another calls the actors. The thread that asks for
rows only waits for them, so that a signal interrupts it at once.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, Generic, TypeVar

import pyarrow as pa

from emi_model.errors import ConfigError, EmiError, ScoringError
from emi_model.loading import without_gc
from tasks.cluster.budget import Budget, ScorerPool
from tasks.cluster.joined import joins
from tasks.corpus.clips import ClipFile
from tasks.corpus.listing import holds_few
from tasks.extraction.headers import Prober
from tasks.processes.guard import guard_this_process
from tasks.scoring.stages.blocks import MAX_BLOCK_BYTES, block_bounds
from tasks.scoring.stages.extract_stage import extract_rows
from tasks.scoring.stages.stage import PassFailed, Work

T = TypeVar("T")

FEW_CLIPS_VARIABLE = "EMI_FEW_CLIPS"
"""Environment variable: up to so many clips go through the stages in this process; 0: none do."""

FEW_CLIPS = 256
"""Its default. Ray takes some 10 s to start, and its processes share the cores with the scorer: 120
clips of the full-size model on two cores take 90 s on Ray, 72 here (RESULTS.md)."""

FEW_BYTES = 64 * 2**20
"""Where clips are decoded to their ends, few clips are no larger than this together."""

MOST_FEW = 2**31
"""A larger number is this one."""

LAST_WAIT_SECONDS = 10.0
"""How long a program that ends waits for a thread within PyTorch, which must not be cut off."""

UNWANTED_SECONDS = 0.2
"""How often a thread whose results nobody takes looks whether anybody still wants them."""


def are_few(
    clips: Sequence[ClipFile], work: Work, pool: ScorerPool, address: str | None = None
) -> bool:
    """Return whether clips are so few that this process has them done before Ray would be up.

    Raises:
        ConfigError: as `most_here`.
    """
    return len(clips) <= most_here(pool, address) and (
        work.extraction.max_seconds is not None
        or sum(clip.size or 0 for clip in clips) <= FEW_BYTES
    )


def most_here(pool: ScorerPool, address: str | None = None) -> int:
    """Return up to how many clips go through the stages in this process.

    None do where a number of scorers, their GPUs or a cluster was asked for.

    Raises:
        ConfigError: ``EMI_FEW_CLIPS`` is no whole number.
    """
    text = os.environ.get(FEW_CLIPS_VARIABLE) or str(FEW_CLIPS)
    if not text.isdecimal():
        raise ConfigError(f"{FEW_CLIPS_VARIABLE} is {text!r}, expected a number of clips, as 0")
    return 0 if pool != ScorerPool() or joins(address) else min(int(text), MOST_FEW)


def begin_to_load(source: str, pool: ScorerPool, address: str | None = None) -> Thread:
    """Begin to load in another thread what a run imports late: PyTorch, or Ray for many clips.

    Returns:
        The thread; nobody has to wait for it.

    Raises:
        ConfigError: as `most_here`.
    """
    few = holds_few(source, most_here(pool, address))

    def load() -> None:
        with without_gc():
            if few:
                import emi_model.checkpoints.load
                import emi_model.predict  # noqa: F401 - what scorers import
            else:
                import ray.data  # noqa: F401

                import tasks.cluster.connection  # noqa: F401 - what starts Ray or joins a cluster

    thread = Thread(target=load, daemon=True, name="emi-load")
    thread.start()
    return thread


def run_pass_here(
    clips: Sequence[ClipFile], work: Work, budget: Budget, *, one_by_one: bool = False
) -> Generator[pa.Table, None, None]:
    """Put clips through the stages of a run; yields the rows of the last, in no order.

    Args:
        clips: the clips.
        work: what is done with them.
        budget: of this machine, for one actor a stage.
        one_by_one: the stages get one clip at a time.

    Raises:
        PassFailed: an error of no kind of ours was raised; rows that were yielded before are valid.
        EmiError: the clips cannot be scored at all.
    """
    guard_this_process()  # it ends the children that decode, should this process be killed
    blocks = _Ahead(lambda: _decoded(clips, work, one_by_one))  # while the actors load
    with closing(_Ahead(lambda: _made(blocks, clips, work, budget))) as made:
        yield from made


def _decoded(
    clips: Sequence[ClipFile], work: Work, one_by_one: bool
) -> Generator[pa.Table, None, None]:
    """Yield blocks of extracted rows."""
    bounds = block_bounds(len(clips), 1 if one_by_one else _clips_at_once(work), 1)
    with Prober() as prober:
        for start, end in pairwise(bounds):
            some = clips[start:end]
            with _accusing(clip.clip_id for clip in some):
                yield from _blocks(extract_rows(some, work.extraction, prober))


def _clips_at_once(work: Work) -> int:
    """Return the clips of a block: as many as the stage takes that waits for most."""
    return max(work.clips_per_block, *(stage.clips_per_batch or 0 for stage in work.stages))


def _blocks(rows: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield rows together, divided where they hold more than a block's waveforms."""
    together = list[pa.Table]()
    for row in rows:
        together.append(row)
        if sum(one.nbytes for one in together) > MAX_BLOCK_BYTES:
            yield pa.concat_tables(together)
            together = []
    if together:
        yield pa.concat_tables(together)


def _made(
    blocks: _Ahead[pa.Table],
    clips: Sequence[ClipFile],
    work: Work,
    budget: Budget,
) -> Generator[pa.Table, None, None]:
    """Yield the blocks after all stages."""
    with closing(blocks):
        actors = _actors(clips, work, budget)
        try:
            for block in blocks:
                made = block
                with _accusing(block["clip_id"].to_pylist()):
                    for actor in actors:
                        made = actor(made)
                yield made
        finally:
            for actor in actors:
                actor.close()


def _actors(clips: Sequence[ClipFile], work: Work, budget: Budget) -> list[Any]:
    made = []
    for stage in work.stages:
        given = {} if stage.given is None else {"given": stage.given(clips)}
        try:
            made.append(stage.actor(settings=stage.settings, budget=budget, ledger=None, **given))
        except EmiError:
            raise
        except Exception as error:
            raise PassFailed(_line(error), frozenset(), is_alive=True) from error
    return made


@contextmanager
def _accusing(clip_ids: Iterator[str] | Sequence[str]) -> Iterator[None]:
    """Turn errors into those that a pass on Ray ends with: other than ours accuse the clips."""
    try:
        yield
    except EmiError as error:
        raise ScoringError(_line(error)) from error
    except Exception as error:
        raise PassFailed(_line(error), frozenset(clip_ids), is_alive=True) from error


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


class _Ahead(Generic[T]):
    """Draws items from a generator in a thread of its own, at once, one ahead of who takes them.

    Nobody waits for the thread: closed, it ends with the item that it is at. A program that ends
    waits for it, but not for long.
    """

    def __init__(self, begin: Callable[[], Generator[T, None, None]]) -> None:
        self._found: Queue[tuple[T | None, BaseException | None]] = Queue(1)
        self._unwanted = Event()
        self._thread = Thread(target=self._draw, args=(begin,), daemon=True, name="emi-pass")
        atexit.register(self._end)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while True:
            item, error = self._found.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item

    def close(self) -> None:
        self._unwanted.set()

    def _end(self) -> None:
        self.close()
        self._thread.join(LAST_WAIT_SECONDS)

    def _draw(self, begin: Callable[[], Generator[T, None, None]]) -> None:
        try:
            with closing(begin()) as items:
                for item in items:
                    if not self._offer(item):
                        return
        except BaseException as error:  # noqa: BLE001 - raised in the thread that takes the items
            self._offer(None, error)
        else:
            self._offer(None)
        finally:
            atexit.unregister(self._end)

    def _offer(self, item: T | None, error: BaseException | None = None) -> bool:
        """Hand an item over once there is room; return False if nobody wants it any more."""
        while not self._unwanted.is_set():
            try:
                self._found.put((item, error), timeout=UNWANTED_SECONDS)
            except Full:
                continue
            return True
        return False
