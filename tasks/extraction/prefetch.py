"""Clips, some at a time, with the next ones on their way from object storage meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import ExitStack
from typing import NamedTuple

from tasks.corpus.clips import ClipFile
from tasks.corpus.fetching import Local
from tasks.extraction.audio import MAX_CLIPS_TOGETHER
from tasks.extraction.rows import local_file
from tasks.schema.outcomes import Rejection

FETCHES_AHEAD = 8
"""Objects a worker fetches at a time: an answer takes as long as the extraction of a few clips."""

GROUP_WAIT_SECONDS = 0.05
"""For the others, once an object is there: to decode several together takes half the time. No
longer, for they may wait for the room that this one holds."""


class LocalClip(NamedTuple):
    """A clip, and its file on this node or why it is not to be had."""

    clip: ClipFile
    local: Local | Rejection


def local_groups(clips: Sequence[ClipFile]) -> Iterator[list[LocalClip]]:
    """Yield groups of clips with their files, at most `MAX_CLIPS_TOGETHER`, at least one.

    What was fetched is removed when the next group is asked for. Objects come in the order in
    which they are there: the room that one of them waits for may be what the others hold.

    Raises:
        CorpusError: a storage does not answer, or this node has no room to fetch to.
    """
    files = [clip for clip in clips if not clip.is_remote]
    for start in range(0, len(files), MAX_CLIPS_TOGETHER):
        with ExitStack() as held:
            group = files[start : start + MAX_CLIPS_TOGETHER]
            yield [LocalClip(clip, held.enter_context(local_file(clip))) for clip in group]
    remote = deque(clip for clip in clips if clip.is_remote)
    fetching: set[Future[tuple[LocalClip, ExitStack]]] = set()
    if not remote:
        return
    with ThreadPoolExecutor(FETCHES_AHEAD) as pool:
        try:
            while remote or fetching:
                while remote and len(fetching) < FETCHES_AHEAD:
                    fetching.add(pool.submit(_fetch, remote.popleft()))
                with ExitStack() as held:
                    yield [_receive(future, held) for future in _fetched(fetching)]
        finally:
            pool.shutdown(cancel_futures=True)
            for future in fetching:
                _let_go(future)


def _fetched(
    fetching: set[Future[tuple[LocalClip, ExitStack]]],
) -> Iterator[Future[tuple[LocalClip, ExitStack]]]:
    """Wait for a first one, a moment for the others, and take out those that are done."""
    wait(fetching, return_when=FIRST_COMPLETED)
    done, _ = wait(fetching, timeout=GROUP_WAIT_SECONDS, return_when=ALL_COMPLETED)
    for future in done:
        fetching.remove(future)
        yield future


def _receive(future: Future[tuple[LocalClip, ExitStack]], held: ExitStack) -> LocalClip:
    found, own = future.result()
    held.push(own)
    return found


def _fetch(clip: ClipFile) -> tuple[LocalClip, ExitStack]:
    with ExitStack() as held:
        found = LocalClip(clip, held.enter_context(local_file(clip)))
        return found, held.pop_all()


def _let_go(future: Future[tuple[LocalClip, ExitStack]]) -> None:
    if not future.cancelled() and future.exception() is None:
        _, held = future.result()
        held.close()
